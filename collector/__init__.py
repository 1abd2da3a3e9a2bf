"""The service. Data meets the stages in this order:

receive    OTLP over gRPC and HTTP: bytes in, a promise out       `collector.receive`
decode     request bytes -> Arrow columns                         `collector.decode`
normalise  span and attribute columns -> call columns             `collector.normalise`
price      call columns -> cost columns, by the compiled card     `collector.price`
attribute  count each call once; find its owners                  `collector.attribute`
store      one transaction, fsync, then the acknowledgement       `collector.store`
forward    every span, cost added, on to Jaeger or any OTLP       `collector.forward`

They are called in this order in `collector.pipeline`, and built and stopped in `collector.service`.
"""
