//! A sheet to print and hang up: the CA's address, its fingerprint, and what to do.

use simo_common::{lang::Lang, qr};
use simod::own_ca::OwnCa;

const STYLE: &str = "\
@page{margin:12mm}
body{font:11pt/1.4 sans-serif;color:#000;background:#fff;margin:0}
section{break-after:page}
section:last-child{break-after:auto}
h1{font-size:16pt;margin:0 0 2mm}
h2{font-size:12pt;margin:3mm 0 0}
p,ol{margin:1mm 0}
.way{float:right;width:58mm;text-align:center;overflow-wrap:anywhere}
pre{font:bold 13pt/1.5 monospace;margin:2mm 0}";

/// The whole document, a page in each language.
pub(super) fn html(ca: &OwnCa, url: &str) -> String {
    let address = format!("{url}/app/ca");
    let picture = qr::svg(&address).unwrap_or_default();
    let way = format!("<div class=\"way\">{picture}<b>{address}</b></div>");
    let page =
        |lang: Lang| format!("<section lang=\"{}\">\n{}</section>\n", lang.code(), ca.steps(lang, &way));
    format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>SiMO: CA</title>\n<style>\n{STYLE}\n</style>\n\
         </head>\n<body>\n{}{}</body>\n</html>\n",
        page(Lang::Ru),
        page(Lang::En),
    )
}
