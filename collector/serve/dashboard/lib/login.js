// Where the API answers 401: a token, and the organisation if the token is for several.
import { post } from "./api.js";
import { fill, h } from "./dom.js";

/** Shows the form in `root`; `done()` when the collector has taken the token. */
export function login(root, refused, done) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "login-failed" });
  const failed = h("p", { class: "failure-text", id: "login-failed", role: "alert" });
  const more = h("div", {});
  const button = h("button", { class: "primary" }, "Sign in");
  let organisation = null;

  async function send(event) {
    event.preventDefault();
    button.disabled = true;
    failed.textContent = "";
    try {
      await post("/login", { token: token.value.trim(), ...(organisation ? { organization: organisation.value } : {}) });
      done();
    } catch (error) {
      if (error.where === "organization") organisation = ask(error.allowed);
      failed.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }

  function ask(allowed) {
    const names = (allowed ?? "").split(",").map((name) => name.trim()).filter(Boolean);
    const field = names.length ? h("select", { name: "organization" }, names.map((name) => h("option", { value: name }, name))) : h("input", { type: "text", name: "organization", required: true });
    fill(more);
    more.append(h("label", {}, "Organization", field));
    field.focus();
    return field;
  }

  root.replaceChildren(
    h(
      "section",
      { class: "login", "aria-labelledby": "login-title" },
      h("h1", { id: "login-title" }, "Sign in"),
      h("p", { class: "soft" }, "This collector answers people with a token. ", refused.status === 401 ? "" : refused.message),
      h("form", { onsubmit: send }, h("label", {}, "API token or JWT", token), more, failed, button),
    ),
  );
  token.focus();
}
