//! The web app, which makes a browser a phone. The files of `simod/app` are embedded as they are, without a build step.
//!
//! All files of the page are in one folder, named after a hash of them, so that browsers may cache it for ever and never
//! mix two versions. The worker is one classic script, because not every browser runs modules there, and because browsers
//! detect a newer worker by comparing it byte by byte.

use std::{collections::BTreeMap, io::Write as _, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use simo_common::hex::hex;

#[derive(RustEmbed)]
#[folder = "app/"]
#[exclude = "README.md"]
#[exclude = "tsconfig.json"]
#[exclude = "*.d.ts"]
struct Embedded;

/// Replaced by the folder's name, in the page, the manifest and the worker.
const PLACEHOLDER: &str = "{{HASH}}";

/// Replaced by a JSON list of the folder's files, in the worker.
const FILES: &str = "{{FILES}}";

const PAGE: &str = "index.html";
/// Reloads the page when its folder is gone.
const AGAIN: &str = "again.js";
const MANIFEST: &str = "manifest.webmanifest";
/// Lists the worker's modules, a path a line, in order.
const WORKER_MODULES: &str = "worker.txt";

/// Replaces a worker that has to go: it deletes the files that it kept and unregisters itself, which ends its pushes.
const NO_WORKER: &str = "\"use strict\";
self.addEventListener(\"install\", () => self.skipWaiting());
self.addEventListener(\"activate\", (event) => event.waitUntil((async () => {
    const own = `simo ${new URL(\"./\", location.href).pathname} `;
    for (const name of await caches.keys()) if (name.startsWith(own)) await caches.delete(name);
    await self.registration.unregister();
})()));
";

/// A file as served.
#[derive(Debug)]
pub(crate) struct File {
    /// Its media type.
    pub(crate) kind: &'static str,
    /// A hash of its bytes.
    pub(crate) tag: String,
    pub(crate) plain: Bytes,
    /// The content compressed; `None` where that is not smaller.
    pub(crate) gzip: Option<Bytes>,
}

/// The app of this build.
#[derive(Debug)]
pub(crate) struct WebApp {
    /// The name of the folder.
    pub(crate) hash: String,
    pub(crate) page: File,
    pub(crate) manifest: File,
    pub(crate) again: File,
    pub(crate) worker: File,
    /// Served instead of the worker where it is turned off.
    pub(crate) no_worker: File,
    /// The files by their paths in the folder.
    pub(crate) files: BTreeMap<String, File>,
}

/// Built on the first request.
pub(crate) static WEB_APP: LazyLock<WebApp> = LazyLock::new(|| WebApp::of(sources()));

/// The files of `simod/app` by their paths.
type Sources = BTreeMap<String, Bytes>;

fn sources() -> Sources {
    let read = |path: std::borrow::Cow<'static, str>| {
        let file = Embedded::get(&path)?;
        Some((path.into_owned(), file.data.into_owned().into()))
    };
    Embedded::iter().filter_map(read).collect()
}

impl WebApp {
    fn of(mut sources: Sources) -> Self {
        let hash = hash(&sources);
        let mut text = |path: &str| {
            let bytes = sources.remove(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace(PLACEHOLDER, &hash)
        };
        let page = File::new(PAGE, text(PAGE).into());
        let manifest = File::new(MANIFEST, text(MANIFEST).into());
        let again = File::new(AGAIN, text(AGAIN).into());
        let modules = text(WORKER_MODULES);
        let worker = worker(&sources, &modules).replace(PLACEHOLDER, &hash).replace(FILES, &list(&sources));
        let worker = File::new("sw.js", worker.into());
        let no_worker = File::new("sw.js", NO_WORKER.into());
        let file = |(path, bytes): (String, Bytes)| (path.clone(), File::new(&path, bytes));
        Self {
            page,
            manifest,
            again,
            worker,
            no_worker,
            files: sources.into_iter().map(file).collect(),
            hash,
        }
    }
}

/// A hash of all files of the app, the worker's included.
fn hash(sources: &Sources) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in sources {
        for part in [path.as_bytes(), bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize()[..8])
}

/// The files that the worker keeps for offline use: all but its own modules, which it contains.
fn list(sources: &Sources) -> String {
    let files = sources.keys().filter(|path| !path.starts_with("worker/")).map(|path| format!("{path:?}"));
    format!("[{}]", files.collect::<Vec<_>>().join(","))
}

/// One script made of modules: without `import` lines, because the imported modules come first, and without `export`.
fn worker(sources: &Sources, modules: &str) -> String {
    // In a function, because the worker's global scope has names like ours.
    let mut script = String::from("\"use strict\";\n(() => {\n");
    for path in modules.split_whitespace() {
        let source = sources.get(path).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        for line in source.lines().filter(|line| !line.starts_with("import ")) {
            script.push_str(line.strip_prefix("export ").unwrap_or(line));
            script.push('\n');
        }
    }
    script.push_str("})();\n");
    script
}

impl File {
    fn new(path: &str, plain: Bytes) -> Self {
        let kind = match path.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            _ => "application/octet-stream",
        };
        let gzip = compressed(&plain).filter(|gzip| gzip.len() < plain.len());
        let tag = hex(&Sha256::digest(&plain)[..8]);
        Self { kind, tag, plain, gzip }
    }
}

fn compressed(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;
    use url::Url;

    use super::*;

    /// The most bytes that the first screen may load.
    const FIRST_LOAD_BYTES: usize = 60 * 1024;

    fn sent(file: &File) -> usize {
        file.gzip.as_ref().unwrap_or(&file.plain).len()
    }

    /// These files with all their imports, which browsers fetch before running any of them.
    fn loaded(paths: &[&str]) -> BTreeSet<String> {
        let imports = Regex::new(r#"(?m)^import .* from "(\.{1,2}/[^"]+)";$"#).unwrap();
        let sources = sources();
        let mut found = BTreeSet::new();
        let mut left: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        while let Some(path) = left.pop() {
            if found.insert(path.clone()) {
                let base = Url::parse("file:///").unwrap().join(&path).unwrap();
                for import in imports.captures_iter(&String::from_utf8_lossy(&sources[&path])) {
                    left.push(base.join(&import[1]).unwrap().path()[1..].to_owned());
                }
            }
        }
        found
    }

    #[test]
    fn the_first_load_is_small() {
        let app = &*WEB_APP;
        // Russian is the larger language.
        let first = ["main.js", "app.js", "texts/ru.js", "views/pair.js", "style.css"];
        let files: usize = loaded(&first).iter().map(|path| sent(&app.files[path])).sum();
        let all = sent(&app.page) + sent(&app.manifest) + sent(&app.again) + files;
        assert!((20 * 1024..=FIRST_LOAD_BYTES).contains(&all), "{all} bytes");
    }

    #[test]
    fn the_worker_is_one_script_and_the_page_names_the_folder() {
        let app = &*WEB_APP;
        let script = String::from_utf8(app.worker.plain.to_vec()).unwrap();
        for line in script.lines() {
            assert!(!line.starts_with("import") && !line.starts_with("export"), "{line}");
        }
        let modules = String::from_utf8(sources()[WORKER_MODULES].to_vec()).unwrap();
        for path in modules.split_whitespace() {
            assert!(app.files.contains_key(path), "{path}");
        }
        for file in [&app.page, &app.manifest, &app.worker] {
            assert!(!String::from_utf8_lossy(&file.plain).contains(PLACEHOLDER));
        }
        assert!(String::from_utf8_lossy(&app.page.plain).contains(&format!("v/{}/main.js", app.hash)));
    }

    /// In one script, the second of two functions with one name silently replaces the first.
    #[test]
    fn no_two_modules_of_the_worker_give_a_name_twice() {
        let declared =
            Regex::new(r"(?m)^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)").unwrap();
        let sources = sources();
        let mut known = BTreeMap::new();
        for path in String::from_utf8_lossy(&sources[WORKER_MODULES]).split_whitespace() {
            for name in declared.captures_iter(&String::from_utf8_lossy(&sources[path])) {
                let other = known.insert(name[1].to_owned(), path.to_owned());
                assert_eq!(other, None, "{} in {path}", &name[1]);
            }
        }
        assert!(known.contains_key("sendAll"));
    }

    #[test]
    fn whatever_changes_gives_the_folder_another_name() {
        let mut sources = sources();
        let before = hash(&sources);
        sources.insert(WORKER_MODULES.to_owned(), Bytes::from_static(b"db.js"));
        assert_ne!(hash(&sources), before);
    }
}
