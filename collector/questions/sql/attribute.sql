coalesce(
    json_extract_string(spans.attributes, ${name}),
    json_extract_string(spans.attributes, ${name}_tag),
    json_extract_string(spans.resource, ${name})
)
