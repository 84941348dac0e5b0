//! Files whose headers say too little, and rows that were not taken: both are settled in the browser.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::lists::upload_key;
use super::site::TestSite;
use super::wire::{parse, request};
use crate::harness::Engine;
use crate::on_both;

const FORM: [(&str, &str); 3] = [
    ("list", "weekly"),
    ("consent", "at the fair"),
    ("status", ""),
];

fn declare(site: &TestSite, fields: &str) {
    std::fs::create_dir_all(site.app.emails()).expect("a folder");
    std::fs::write(site.app.emails().join("fields.toml"), fields).expect("a file");
}

on_both!(
    the_author_says_which_column_holds_what_where_its_header_does_not,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        declare(&site, "[fields.city]\ntype = \"text\"\n");
        let table = "Contact,Who,Town \"old\",Town\nann@x.example,Ann,Ulm,Bonn\nbob@x.example,Bob,Hof,Kiel\n";
        let asked = site.upload("odd.csv", table, &FORM).await;
        let page = asked.text();
        assert_eq!(asked.status, 200, "{page}");
        assert!(page.contains("no column holds the address"), "{page}");
        assert!(
            !page.contains("--map"),
            "the command line's own words: {page}"
        );
        assert!(
            !page.contains("/imports/take"),
            "nothing to import yet: {page}"
        );
        for field in ["field_email", "field_name", "field_city"] {
            assert!(
                page.contains(&format!("name=\"{field}\"")),
                "{field}: {page}"
            );
        }
        assert!(
            page.contains("<option value=\"Town &quot;old&quot;\">"),
            "{page}"
        );
        let key = upload_key(&page);
        // Without a column for the address it is asked again, and the file still waits.
        let again = site
            .press_admin("/imports/map", &format!("upload={key}&field_name=Who"))
            .await;
        assert!(again.text().contains("no column holds the address"));
        assert!(
            again.text().contains("<option value=\"Who\" selected>"),
            "what was said stays said: {}",
            again.text()
        );
        assert_eq!(site.waiting().len(), 1);
        let body =
            format!("upload={key}&field_email=Contact&field_name=Who&field_city=Town+%22old%22");
        let look = site.press_admin("/imports/map", &body).await.text();
        assert!(look.contains("+2 new"), "{look}");
        assert!(look.contains("left out: Town"), "{look}");
        assert!(
            look.contains("<option value=\"Contact\" selected>"),
            "{look}"
        );
        assert_eq!(site.db.number("select count(*) from subscribers").await, 0);
        let body = format!("upload={}", upload_key(&look));
        let taken = site.press_admin("/imports/take", &body).await;
        assert_eq!(taken.header("location"), Some("/imports/1"));
        let ann = "select name || fields from subscribers where address = 'ann@x.example'";
        let ann = site.db.text(ann).await.expect("a reader");
        assert_eq!(ann, "Ann{\"city\":\"Ulm\"}");
        // A column of a table that is understood may be said to hold something else.
        let table = "email,name,nick\ncid@x.example,Cid Campeador,Cid\n";
        let page = site.upload("fine.csv", table, &FORM).await.text();
        assert!(page.contains("email, as the header says"), "{page}");
        let body = format!("upload={}&field_name=nick&field_email=", upload_key(&page));
        let page = site.press_admin("/imports/map", &body).await.text();
        let body = format!("upload={}", upload_key(&page));
        site.press_admin("/imports/take", &body).await;
        let cid = "select name from subscribers where address = 'cid@x.example'";
        assert_eq!(site.db.text(cid).await.as_deref(), Some("Cid"));
        let twice = site.press_admin("/imports/map", &body).await;
        assert_eq!(twice.status, 409);
        assert!(twice.text().contains("is not here any more"));
        site.stop().await;
    }
);

on_both!(
    a_column_that_will_be_taken_by_its_name_is_told_before_the_address_is_found,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        declare(&site, "[fields.city]\ntype = \"text\"\n");
        let table = "Contact,City,Name\nann@x.example,Ulm,Ann\n";
        let page = site.upload("odd.csv", table, &FORM).await.text();
        for held in ["City, as the header says", "Name, as the header says"] {
            assert!(page.contains(held), "{held}: {page}");
        }
        let body = format!("upload={}&field_email=Contact", upload_key(&page));
        let look = site.press_admin("/imports/map", &body).await.text();
        let body = format!("upload={}", upload_key(&look));
        site.press_admin("/imports/take", &body).await;
        let ann = "select name || fields from subscribers where address = 'ann@x.example'";
        let ann = site.db.text(ann).await.expect("a reader");
        assert_eq!(ann, "Ann{\"city\":\"Ulm\"}");
        site.stop().await;
    }
);

on_both!(
    a_file_that_takes_much_of_a_list_asks_before_it_does,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        let mut table = String::from("email,status\n");
        (0..6).for_each(|n| table.push_str(&format!("reader{n}@example.org,unsubscribed\n")));
        let page = site.upload("off.csv", &table, &FORM).await.text();
        assert!(
            page.contains("6 of 40 readers of weekly (15 %) would get no mail any more"),
            "{page}"
        );
        let left = "select count(*) from subscriptions where status = 'unsubscribed'";
        let body = format!("upload={}", upload_key(&page));
        let asked = site.press_admin("/imports/take", &body).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        assert!(asked.text().contains("name=\"accept\""), "{}", asked.text());
        assert_eq!(site.db.number(left).await, 0);
        let body = format!("upload={}&accept=taken-off", upload_key(&asked.text()));
        let taken = site.press_admin("/imports/take", &body).await;
        assert_eq!(taken.header("location"), Some("/imports/1"));
        assert_eq!(site.db.number(left).await, 6);
        // On the command line the same, in its own words.
        std::fs::write(
            site.app.base.join("off.csv"),
            table.replace("reader", "reader1"),
        )
        .expect("a file");
        let file = site.app.base.join("off.csv");
        let import = [
            "subscribers",
            "import",
            file.to_str().expect("UTF-8"),
            "--list",
            "weekly",
        ];
        let (code, said, _) = site.command(&[&import[..], &["--dry-run"]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("6 of 34 readers of `weekly` (18 %)"),
            "{said}"
        );
        assert!(said.contains("--accept taken-off"), "{said}");
        let (code, _, said) = site.command(&import);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("`--accept taken-off`"), "{said}");
        assert_eq!(site.db.number(left).await, 6);
        let (code, said, _) = site.command(&[&import[..], &["--accept", "taken-off"]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(site.db.number(left).await, 12);
        site.stop().await;
    }
);

on_both!(
    rejected_rows_come_back_as_a_file_that_can_be_mended_and_imported,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let table = "email;name\nann@x.example;Ann\nbob(at)x.example;\"Bob; the builder\"\nnobody;No\n=eve;=\"1\"\n";
        let page = site.upload("late.csv", table, &FORM).await.text();
        let body = format!("upload={}", upload_key(&page));
        site.press_admin("/imports/take", &body).await;
        assert_eq!(site.waiting(), Vec::<PathBuf>::new());
        let page = site.ask_admin("/imports/1", "localhost").await.text();
        let link = "/imports/1/rejected.csv?table=1";
        assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
        let file = site.ask_admin(link, "localhost").await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
        assert_eq!(
            file.header("content-disposition"),
            Some("attachment; filename=\"import-1-rejected-1.csv\"")
        );
        let text = file.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[0], "line;reason;email;name");
        assert!(lines[1].starts_with("3;\""), "{text}");
        assert!(
            lines[1].ends_with(";bob(at)x.example;\"Bob; the builder\""),
            "{text}"
        );
        // A spreadsheet must not reckon with what a stranger typed; the import reads it back.
        assert!(lines[3].ends_with(";'=eve;\"'=\"\"1\"\"\""), "{text}");
        let mended = text
            .replace("bob(at)x", "bob@x")
            .replace("'=eve", "eve@x.example");
        let page = site.upload("mended.csv", &mended, &FORM).await.text();
        assert!(page.contains("+2 new, 1 rejected"), "{page}");
        let body = format!("upload={}", upload_key(&page));
        site.press_admin("/imports/take", &body).await;
        let eve = "select name from subscribers where address = 'eve@x.example'";
        assert_eq!(site.db.text(eve).await.as_deref(), Some("=\"1\""));
        let bob = "select name from subscribers where address = 'bob@x.example'";
        assert_eq!(site.db.text(bob).await.as_deref(), Some("Bob; the builder"));
        // It holds addresses: nobody without a session gets it, only we read it, and it goes after a day.
        let stranger = [("Host", "localhost")];
        let stranger = request(site.admin, "GET", link, &stranger, "").await;
        assert_ne!(stranger.status, 200);
        assert!(!stranger.text().contains("nobody"), "{}", stranger.text());
        let folder = site.app.path(&site.app.config.paths.state).join("rejected");
        let kept = folder.join("1-1.csv");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&kept).expect("a file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        let handle = File::options().append(true).open(&kept).expect("a file");
        let made = handle.metadata().and_then(|found| found.modified());
        let old = made.expect("a time") - Duration::from_secs(25 * 3_600);
        handle.set_modified(old).expect("a time");
        let page = site.ask_admin("/imports/1", "localhost").await.text();
        assert!(!page.contains("rejected.csv"), "{page}");
        assert_eq!(site.ask_admin(link, "localhost").await.status, 404);
        assert!(!kept.exists());
        site.has_no_admin_page(&[
            "/imports/2/rejected.csv?table=2",
            "/imports/2/rejected.csv?table=x",
            "/imports/9/rejected.csv",
            "/imports/x/rejected.csv",
        ])
        .await;
        site.stop().await;
    }
);

on_both!(
    a_file_over_a_slow_line_comes_in_though_no_form_may_take_so_long,
    async |engine: Engine| {
        let site = TestSite::with(engine, &TestSite::config(&[]), |limits| {
            limits.request_deadline = Duration::from_secs(3);
        })
        .await;
        let body = "--edge\r\nContent-Disposition: form-data; name=\"list\"\r\n\r\nweekly\r\n\
            --edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
            Content-Type: text/csv\r\n\r\nemail\nann@x.example\n\r\n--edge--\r\n";
        let head = |path: &str, kind: &str, cookie: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nConnection: close\r\nHost: {host}\r\nOrigin: http://{host}\r\n\
                 Cookie: {cookie}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                body.len(),
                host = site.admin,
            )
        };
        let slowly = async |head: String, whole: bool| {
            let mut stream = TcpStream::connect(site.admin).await.expect("a connection");
            let (first, rest) = body.split_at(40);
            stream.write_all(head.as_bytes()).await.expect("a head");
            stream.write_all(first.as_bytes()).await.expect("a part");
            if whole {
                tokio::time::sleep(Duration::from_millis(3_500)).await;
                stream.write_all(rest.as_bytes()).await.expect("the rest");
            }
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("an answer");
            parse(&answer)
        };
        let cookie = site.cookie().await;
        let file = "multipart/form-data; boundary=edge";
        let look = slowly(head("/imports", file, &cookie), true).await;
        assert_eq!(look.status, 200, "{}", look.text());
        assert!(look.text().contains("+1 new"), "{}", look.text());
        let form = "application/x-www-form-urlencoded";
        let late = slowly(head("/imports/take", form, &cookie), false).await;
        assert_eq!(late.status, 408);
        // Nobody without a session holds the line.
        let stranger = slowly(head("/imports", file, ""), false).await;
        assert_eq!(stranger.status, 303);
        site.stop().await;
    }
);

on_both!(
    what_a_listmonk_file_does_not_tell_is_said_before_it_is_imported,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let table = "uuid,email,name,attributes,status\n1,ann@x.example,Ann,{},enabled\n";
        let page = site.upload("subscribers.csv", table, &FORM).await.text();
        assert!(page.contains("an export of listmonk"), "{page}");
        assert!(
            page.contains("export those whose subscription is"),
            "{page}"
        );
        let body = format!("upload={}", upload_key(&page));
        site.press_admin("/imports/take", &body).await;
        let page = site.ask_admin("/imports/1", "localhost").await.text();
        assert!(
            page.contains("export those whose subscription is"),
            "{page}"
        );
        let page = site.upload("unsubscribed.csv", table, &FORM).await.text();
        assert!(
            page.contains("1 taken off this list, as the file says"),
            "{page}"
        );
        assert!(!page.contains("export those whose"), "{page}");
        site.stop().await;
    }
);
