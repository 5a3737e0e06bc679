use super::*;

fn at(host: &str, port: impl Into<Option<u16>>) -> Address {
    Address { host: (!host.is_empty()).then(|| host.to_owned()), port: port.into() }
}

#[test]
fn hosts_and_ports_are_read_as_libpq_reads_them() {
    for (url, addresses) in [
        ("postgres://db", vec![at("db", None)]),
        ("postgres://u@db:5433/simo", vec![at("db", 5433)]),
        ("postgresql://u@a:5432,b:5433/simo", vec![at("a", 5432), at("b", 5433)]),
        ("postgres://a,b:5433,c:/simo", vec![at("a", None), at("b", 5433), at("c", None)]),
        ("postgres://a,b/simo?port=6000", vec![at("a", 6000), at("b", 6000)]),
        ("postgres://a,b?port=6000,6001", vec![at("a", 6000), at("b", 6001)]),
        ("postgres://[::1]:5433,[fe80::1]/simo", vec![at("::1", 5433), at("fe80::1", None)]),
        ("postgres://%2Frun%2Fpostgresql,b/simo", vec![at("/run/postgresql", None), at("b", None)]),
        ("postgres:///simo?host=/run/postgresql&port=5433", vec![at("/run/postgresql", 5433)]),
        ("postgres:///simo?host=/run/a,db2,::1", vec![at("/run/a", None), at("db2", None), at("::1", None)]),
        // The parameter replaces the host, and the port stays.
        ("postgres://u@localhost:6432/simo?host=/run/x", vec![at("/run/x", 6432)]),
        ("postgres://u@a,b/simo?host=c", vec![at("c", None)]),
        ("postgres://", vec![at("", None)]),
        ("postgres://u@:5433/simo", vec![at("", 5433)]),
    ] {
        assert_eq!(ServerUrl::parse(url).unwrap().addresses, addresses, "{url}");
    }
}

#[test]
fn words_are_passed_on_decoded() {
    let passed_on = |url| ServerUrl::parse(url).unwrap().passed_on;
    let all = passed_on(
        "postgres://s%40mo:%40%23%2F%3F%25:+@db/s%2Fmo?sslmode=verify-full&sslrootcert=/etc/a+b.pem",
    );
    let expected = [
        ("user", "s@mo"),
        ("password", "@#/?%:+"),
        ("dbname", "s/mo"),
        ("sslmode", "verify-full"),
        ("sslrootcert", "/etc/a+b.pem"),
    ];
    assert_eq!(all, expected.map(|(word, value)| (word.to_owned(), value.to_owned())));
    assert_eq!(
        passed_on("postgres://db/?options=-c%20geqo%3Doff&"),
        [("options".to_owned(), "-c geqo=off".to_owned())]
    );
    assert!(passed_on("postgres://db").is_empty());
}

#[test]
fn of_several_hosts_one_that_takes_writes_is_wanted_unless_said_otherwise() {
    let read = |url: &str| ServerUrl::parse(url).unwrap();
    for (query, wanted) in [
        ("", Wanted::ReadWrite),
        ("?target_session_attrs=read-write", Wanted::ReadWrite),
        ("?target_session_attrs=primary", Wanted::Primary),
        ("?target_session_attrs=any", Wanted::Any),
    ] {
        assert_eq!(read(&format!("postgres://a,b{query}")).wanted, wanted, "{query}");
    }
    assert_eq!(read("postgres://a").wanted, Wanted::Any);
    assert_eq!(read("postgres://a,b").limit, Duration::from_secs(2));
    assert_eq!(read("postgres://a").limit, Duration::from_secs(5));
    assert_eq!(read("postgres://a,b?connect_timeout=7").limit, Duration::from_secs(7));
    assert_eq!(read("postgres://a?statement-cache-capacity=0").statements, Some(0));
    assert_eq!(read("postgres://a").statements, None);
}

#[test]
fn what_is_not_understood_is_named_with_the_nearest_word() {
    for (url, says) in [
        (
            "postgres://a/?target_session_atrs=any",
            "unknown parameter `target_session_atrs` in the server's URL; did you mean `target_session_attrs`?",
        ),
        ("postgres://a/?ssl-mode=require", "did you mean `sslmode`?"),
        ("postgres://a/?hostaddr=127.0.0.1", "did you mean `host`?"),
        ("postgres://a/?x=1", "unknown parameter `x` in the server's URL; known are host, port, "),
        ("postgres://a/?application_name=x", "simod connects as `simod`"),
        ("postgres://a/?target_session_attrs=standby", "any, read-write or primary"),
        ("postgres://a/?target_session_attrs=prefer-standby", "any, read-write or primary"),
        ("postgres://a/?target_session_attrs=", "any, read-write or primary"),
        ("postgres://a/?sslmode=on", "verify-ca or verify-full"),
        ("postgres://a/?connect_timeout=0", "from 1 to 60"),
        ("postgres://a/?connect_timeout=2s", "from 1 to 60"),
        ("postgres://a/?statement-cache-capacity=many", "`statement-cache-capacity` is a whole number"),
        ("postgres://a,b,c/?port=1,2", "3 hosts and 2 ports"),
        ("postgres://a:1,b:2/?host=c", "1 hosts and 2 ports"),
        ("postgres://a,,b", "empty host"),
        ("postgres://a:0", "from 1 to 65535"),
        ("postgres://a:65536", "from 1 to 65535"),
        ("postgres://::1/simo", "[::1]:5432"),
        ("postgres://[::1/simo", "[::1]:5432"),
        ("postgres://[::1]5432/simo", "[::1]:5432"),
        ("postgres://u:%FF@a", "not UTF-8"),
        ("postgres://u:a%00b@a", "not UTF-8"),
    ] {
        let said = ServerUrl::parse(url).unwrap_err().en;
        assert!(said.contains(says), "{url}: {said}");
    }
}

#[test]
fn a_password_that_is_not_encoded_is_explained_and_not_shown() {
    for password in [
        "zq@xj",
        "zq#xj",
        "zq/xj",
        "zq?xj",
        "zq%xj",
        "@zqxj",
        "zqxj/",
        "12/zqxj",
        "12?zqxj",
        "12?zqxj=x",
        "12?sslmode=zqxj",
        "zq%c",
        "zq,xj:@",
        "12#zqxj",
        "[zqxj/",
        "zq@c/r?e#t%",
    ] {
        let url = format!("postgres://simo:{password}@db.example.org:5432/simo?sslmode=require");
        let said = ServerUrl::parse(&url).unwrap_err();
        for text in [&said.en, &said.ru] {
            assert!(text.contains("%40") && text.contains("%25"), "{password}: {text}");
            assert!(!text.contains("zq") && !text.contains("xj"), "{password}: {text}");
        }
        assert_eq!(without_password(&url, "***", str::to_owned), "postgres://***");
    }
    let forgotten = ServerUrl::parse("postgres://simo:zqxj/simo").unwrap_err().en;
    assert!(forgotten.contains("%40") && !forgotten.contains("zqxj"), "{forgotten}");
}

#[test]
fn the_manuals_list_the_words_that_are_understood() {
    for manual in [
        include_str!("../../../../../../docs/configuration.en.md"),
        include_str!("../../../../../../docs/configuration.ru.md"),
    ] {
        let listed = manual.lines().filter_map(|line| line.strip_prefix("* `")?.split_once('`'));
        let words: Vec<&str> = listed.map(|(word, _)| word).collect();
        assert_eq!(words, WORDS);
    }
}
