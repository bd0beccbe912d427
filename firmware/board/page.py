"""The set-up page: one form, no resource but itself."""

from firmware.board.settings import PLAIN_PORT, TLS_PORT, Settings

_STYLE = """
:root{color-scheme:light dark;--paper:#f5f1e8;--card:#fffdf9;--ink:#25201a;--soft:#5c5448;--line:#85796a;
--accent:#8a3b12;--on:#fffaf3;--bad:#98201c;--wash:#fae0da;--focus:#1d4f91}
@media(prefers-color-scheme:dark){:root{--paper:#191613;--card:#231f1b;--ink:#f2ece1;--soft:#bdb3a3;--line:#8b8071;
--accent:#f2a873;--on:#2a1305;--bad:#ffa89c;--wash:#47231f;--focus:#9cc4f7}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:30rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font:600 1.7rem/1.2 Georgia,serif;margin:0 0 .25rem}
h2{font:600 1.15rem/1.3 Georgia,serif;margin:0}
p{margin:.25rem 0 .6rem}
.soft,small{color:var(--soft);font-size:.9rem;font-weight:400}
fieldset{border:0;margin:1rem 0 0;padding:1rem;background:var(--card);border-radius:14px;min-width:0}
legend{float:left;width:100%;padding:0 0 .5rem}
legend+*{clear:both}
label{display:block;margin-top:.7rem;font-weight:600}
label.row{display:flex;align-items:center;gap:.6rem;min-height:44px;font-weight:400}
input,textarea{width:100%;min-height:44px;margin-top:.25rem;padding:.5rem .7rem;font:400 1rem system-ui,sans-serif;
color:inherit;background:var(--paper);border:1px solid var(--line);border-radius:9px}
textarea{font:400 .8rem/1.4 ui-monospace,monospace;min-height:7rem}
input[type=checkbox]{width:24px;min-height:24px;height:24px;flex:none;margin:0;accent-color:var(--accent)}
[aria-invalid=true]{border:2px solid var(--bad)}
.problem{color:var(--bad);font-weight:600;margin:.3rem 0 0}
.problem::before,.alert::before{content:"\\26A0\\FE0E  "}
.alert{background:var(--wash);color:var(--bad);border-radius:14px;padding:.8rem 1rem;margin:1rem 0 0;font-weight:600}
summary{min-height:44px;padding:.6rem 0;cursor:pointer}
button{width:100%;min-height:48px;margin-top:1.25rem;font:600 1.05rem system-ui,sans-serif;color:var(--on);
background:var(--accent);border:0;border-radius:11px}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
"""

# Comfort only: the form works without it.
_SCRIPT = """
(function(){var d=document,f=d.forms[0],t=f.tls,p=f.port,c=d.getElementById("cert");
function see(){c.hidden=!t.checked}
t.onchange=function(){if(p.value==(t.checked?"PLAIN":"TLS"))p.value=t.checked?"TLS":"PLAIN";see()};
see();
d.getElementById("show").onchange=function(){var e=f.querySelectorAll("[data-secret]");
for(var i=0;i<e.length;i++)e[i].type=this.checked?"text":"password"};
d.getElementById("file").onchange=function(){var r=new FileReader();r.onload=function(){f.certificates.value=r.result};
r.readAsText(this.files[0])};
f.clock_s.value=Math.floor(Date.now()/1000);
var b=d.querySelector("[aria-invalid=true]");if(b)b.focus();
f.onsubmit=function(){f.querySelector("button").textContent="Saving\\u2026"}})();
""".replace("PLAIN", str(PLAIN_PORT)).replace("TLS", str(TLS_PORT))


def form_page(
    label: str,
    networks: "list[str]",
    form: "dict[str, str]",
    problems: "dict[str, str]",
    kept: "Settings | None",
    notice: str,
    has_flashed: bool,
) -> bytes:
    """The form, filled with `form`, each problem at its field. `label` is the dispenser's Wi-Fi name, for the heading.

    `networks` are the names of Wi-Fi networks in reach; `kept` what is set now: its secrets are never shown. `notice`
    says why the dispenser asks again.
    """
    alert = notice
    if problems:
        alert = "One field needs another look." if len(problems) == 1 else f"{len(problems)} fields need another look."
    field = _Fields(form, problems)
    unchanged = "unchanged when left empty" if kept is not None else ""
    certificate_note = "Empty: the one that the dispenser has." if has_flashed or _has_certificate(kept) else ""
    parts = [
        "<h1>Set up this dispenser</h1>",
        f'<p class="soft">{escape(label)}</p>',
        f'<p class="alert" role="alert">{escape(alert)}</p>' if alert else "",
        '<form method="post" action="/save" novalidate autocomplete="off"><fieldset><legend><h2>Wi-Fi</h2></legend>',
        field.text(
            "ssid",
            "Network",
            'list="networks" autocapitalize="none" spellcheck="false"',
            "choose or type; 2.4 GHz only",
        ),
        '<datalist id="networks">',
        "".join([f'<option value="{escape(name)}">' for name in networks]),
        "</datalist>",
        field.secret("wifi_password", "Password", unchanged),
        "</fieldset><fieldset><legend><h2>Server</h2></legend>",
        field.text(
            "server", "Address", 'inputmode="url" autocapitalize="none" spellcheck="false"', "as in pitada.local"
        ),
        field.text("port", "Port", 'inputmode="numeric"', ""),
        f'<label class="row"><input type="checkbox" name="tls" value="on"{_checked(form)}>Encrypted (TLS)</label>',
        '<div id="cert">',
        field.area("certificates", "Certificate of your authority (ca.crt)", certificate_note),
        '<label>…or choose the file<input type="file" id="file" accept=".crt,.pem,.cer"></label></div>',
        "</fieldset><fieldset><legend><h2>Dispenser</h2></legend>",
        field.text(
            "device", "Claim code, or id", 'autocapitalize="none" spellcheck="false"', "pitada devices claim prints it"
        ),
        field.secret("password", "Password", unchanged or "not with a claim code"),
        f"<details{' open' if 'counts_per_g' in problems else ''}><summary>Load cell (optional)</summary>",
        field.text("counts_per_g", "Counts per gram", 'inputmode="text"', "empty without a load cell"),
        "</details></fieldset>",
        '<label class="row"><input type="checkbox" id="show">Show the passwords</label>',
        '<input type="hidden" name="clock_s" value=""><button>Save and restart</button></form>',
        f"<script>{_SCRIPT}</script>",
    ]
    return _page("Set up this dispenser", "".join(parts))


def saved_page(settings: "Settings") -> bytes:
    """What to expect now."""
    name = f"<b>{escape(settings.ssid)}</b>"
    lines = (
        f"The dispenser restarts and joins {name}. Your phone leaves this set-up network by itself.",
        "A short blink every 3 seconds: it is connected and ready.",
        f"A double blink: {name} did not let it in. After two minutes this page is offered again and says why.",
        "A slow, even blink: it is in the Wi-Fi, but the server does not answer or refuses it. Check address, port, id "
        "and password: hold the button for 8 seconds to come back here.",
    )
    return _page("Saved", "<h1>Saved</h1><fieldset><p>" + "</p><p>".join(lines) + "</p></fieldset>")


def escape(text: str) -> str:
    """For use in HTML, in double quotes too."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    ).encode()


class _Fields:
    """Writes fields with their values and problems."""

    def __init__(self, form: "dict[str, str]", problems: "dict[str, str]") -> None:
        self._form = form
        self._problems = problems

    def text(self, name: str, label: str, more: str, hint: str) -> str:
        value = escape(self._form.get(name, ""))
        return self._around(name, label, f'<input name="{name}" value="{value}" {more}{self._state(name)}>', hint)

    def secret(self, name: str, label: str, hint: str) -> str:
        value = escape(self._form.get(name, ""))
        control = f'<input type="password" data-secret name="{name}" value="{value}" autocapitalize="none"'
        return self._around(name, label, f"{control}{self._state(name)}>", hint)

    def area(self, name: str, label: str, hint: str) -> str:
        value = escape(self._form.get(name, ""))
        control = f'<textarea name="{name}" spellcheck="false"{self._state(name)}>{value}</textarea>'
        return self._around(name, label, control, hint)

    def _around(self, name: str, label: str, control: str, hint: str) -> str:
        note = f" <small>{hint}</small>" if hint else ""
        problem = self._problems.get(name)
        said = f'<p class="problem" id="{name}-problem">{escape(problem)}</p>' if problem else ""
        return f"<label>{label}{note}{control}</label>{said}"

    def _state(self, name: str) -> str:
        if name not in self._problems:
            return ""
        return f' aria-invalid="true" aria-describedby="{name}-problem"'


def _checked(form: "dict[str, str]") -> str:
    return " checked" if form.get("tls") else ""


def _has_certificate(kept: "Settings | None") -> bool:
    return kept is not None and bool(kept.certificates)
