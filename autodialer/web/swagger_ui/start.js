/* Starts Swagger UI, and makes logging in what people expect: the login field has the focus, Enter logs in, a reload
   keeps the session, and a session that is in use does not end after ten minutes.

   Why not persistAuthorization: it writes what was typed, the password included, to localStorage, where it stays.
   Here the tokens alone are kept, in sessionStorage: they are gone with the tab. */
"use strict";

const SESSION = "dialer.session";
const TOKEN_PATH = "/srv1/auth/token";
const REVOKE_PATH = "/srv1/auth/revoke";
const RENEW_BEFORE_MS = 60_000;

function readSession() {
  try {
    return JSON.parse(sessionStorage.getItem(SESSION));
  } catch {
    return null;
  }
}

function keepSession(name, token) {
  const expires_at = Date.now() + (token.expires_in ?? 0) * 1000;
  const { access_token, refresh_token, token_type, scope } = token;
  const kept = { name, expires_at, token: { access_token, refresh_token, token_type, scope } };
  sessionStorage.setItem(SESSION, JSON.stringify(kept));
}

function form(path, fields) {
  return fetch(path, { method: "POST", body: new URLSearchParams(fields), credentials: "omit" });
}

let renewal = null;

/* One at a time: a refresh token that is used twice ends the session. */
function renew(kept) {
  renewal ??= form(TOKEN_PATH, { grant_type: "refresh_token", refresh_token: kept.token.refresh_token })
    .then(async (answer) => {
      if (answer.ok) {
        const token = await answer.json();
        keepSession(kept.name, token);
        showSession();
      } else if (answer.status === 400 || answer.status === 401) {
        window.ui.authActions.logout([kept.name]);
      }
    })
    .catch(() => undefined)
    .finally(() => { renewal = null; });
  return renewal;
}

async function beforeRequest(request) {
  const kept = readSession();
  const header = Object.keys(request.headers ?? {}).find((name) => name.toLowerCase() === "authorization");
  const isOurs = kept && header && request.headers[header] === `Bearer ${kept.token.access_token}`;
  if (isOurs && Date.now() > kept.expires_at - RENEW_BEFORE_MS) {
    await renew(kept);
    const now = readSession();
    if (now) {
      request.headers[header] = `Bearer ${now.token.access_token}`;
    }
  }
  return request;
}

/* Tells Swagger UI of the session that is kept. */
function showSession() {
  const kept = readSession();
  const schemas = window.ui.specSelectors.securityDefinitions();
  const schema = kept && schemas && schemas.get(kept.name);
  if (schema) {
    window.ui.authActions.authorizeOauth2({ auth: { name: kept.name, schema: schema.toJS() }, token: kept.token });
  }
}

const sessionPlugin = {
  statePlugins: {
    auth: {
      wrapActions: {
        authorizeOauth2: (original) => (payload) => {
          if (payload.token?.expires_in) {
            keepSession(payload.auth.name, payload.token);
          }
          return original(payload);
        },
        logout: (original) => (payload) => {
          const kept = readSession();
          sessionStorage.removeItem(SESSION);
          if (kept?.token.refresh_token) {
            form(REVOKE_PATH, { token: kept.token.refresh_token }).catch(() => undefined);
          }
          return original(payload);
        },
      },
    },
  },
};

/* The dialog is drawn anew each time it opens. */
let shown = null;
new MutationObserver(() => {
  const login = document.querySelector(".auth-container #oauth_username");
  if (login && login !== shown) {
    login.scrollIntoView({ block: "center" });
    login.focus();
    login.autocomplete = "username";
    const password = document.querySelector(".auth-container #oauth_password");
    if (password) {
      password.autocomplete = "current-password";
    }
  }
  shown = login;
}).observe(document.documentElement, { childList: true, subtree: true });

document.addEventListener("keydown", (event) => {
  const container = event.target instanceof HTMLInputElement && event.target.closest(".auth-container");
  const button = container && container.querySelector(".auth-btn-wrapper .authorize");
  if (event.key === "Enter" && button) {
    event.preventDefault();
    button.click();
  }
});

window.ui = SwaggerUIBundle({
  url: "/swagger.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [sessionPlugin],
  requestInterceptor: beforeRequest,
  onComplete: showSession,
});
