//! Forms that the server refuses: shown again with what was typed, and with the reason beside the field.

use pressrun::id::SubscriptionKey;
use pressrun::token::Claim;

use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

/// What stands in the page from `field` to the end of its own paragraph of complaint.
fn beside<'a>(page: &'a str, field: &str) -> &'a str {
    let at = page
        .find(field)
        .unwrap_or_else(|| panic!("`{field}` is nowhere: {page}"));
    let rest = &page[at..];
    let end = rest.find("</p>").unwrap_or(rest.len());
    &rest[..end]
}

on_both!(
    a_form_about_a_reader_comes_back_with_what_was_typed_and_the_reason_at_its_field,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let fields = "[fields.born]\ntype = \"date\"\n";
        std::fs::create_dir_all(site.app.emails()).expect("a folder");
        std::fs::write(site.app.emails().join("fields.toml"), fields).expect("a file");
        site.seed_run(3).await;
        let change = async |body: &str| {
            let answer = site.press_admin("/subscribers/1000/change", body).await;
            assert_eq!(answer.status, 409, "{body}");
            answer.text()
        };
        let name = "name=%22%3E%3Cb%3EAda%3C%2Fb%3E&said=%3Ci%3E&tags=early%2C+paid";
        let whole = "address=Reader0%40example.org&field-born=soon";
        let page = change(&format!(
            "{whole}&{name}&password=secret-word&form=token-word"
        ))
        .await;
        for kept in [
            "<details open><summary>Change",
            "value=\"&quot;&gt;&lt;b&gt;Ada&lt;&#x2f;b&gt;\"",
            "value=\"&lt;i&gt;\"",
            "value=\"early, paid\"",
            "value=\"Reader0@example.org\"",
        ] {
            assert!(page.contains(kept), "{kept}: {page}");
        }
        let told = beside(&page, "id=\"field-born\"");
        for part in [
            "value=\"soon\"",
            "aria-invalid=\"true\" aria-describedby=\"wrong\"",
            "id=\"wrong\" role=\"alert\">`born` takes a date",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(
            !page.contains("<b>Ada") && !page.contains("-word"),
            "{page}"
        );
        for (body, field, why) in [
            ("address=nobody&name=A", "id=\"address\"", "`nobody`: "),
            ("address=a%40b.example&tags=a+b", "id=\"tags\"", "a b"),
            (
                "address=a%40b.example&name=A",
                "id=\"said\"",
                "say how it is known",
            ),
            (
                "address=Reader1%40example.org&name=A&said=wrote+me",
                "id=\"address\"",
                "another reader has this address",
            ),
        ] {
            let page = change(body).await;
            let told = beside(&page, field);
            assert!(
                told.contains(why) && told.contains("aria-invalid"),
                "{why}: {told}"
            );
            assert_eq!(page.matches("role=\"alert\"").count(), 1, "{page}");
        }
        let suppress = site
            .press_admin("/subscribers/1000/suppress", "reason=by+%22phone%22")
            .await;
        assert_eq!(suppress.status, 409);
        let page = suppress.text();
        assert!(page.contains("value=\"by &quot;phone&quot;\""), "{page}");
        assert!(
            beside(&page, "id=\"reason\"").contains("tick the box"),
            "{page}"
        );
        assert!(
            !page.contains("checked"),
            "whoever is sure says so again: {page}"
        );
        site.stop().await;
    }
);

on_both!(
    forms_of_lists_suppressions_and_links_come_back_too,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        for (path, body, field, kept, why) in [
            (
                "/lists",
                "slug=No+Slug&title=The+%3CList%3E",
                "id=\"slug\"",
                "value=\"The &lt;List&gt;\"",
                "lower-case",
            ),
            (
                "/lists",
                "slug=fine&title=+",
                "id=\"title\"",
                "value=\"fine\"",
                "the title is empty",
            ),
            (
                "/lists",
                "slug=weekly&title=Again",
                "id=\"slug\"",
                "value=\"Again\"",
                "is named `weekly` already",
            ),
            (
                "/suppressions/add",
                "address=x&reason=by+phone",
                "id=\"add\"",
                "value=\"by phone\"",
                "`x` is no address",
            ),
            (
                "/suppressions/check",
                "address=y",
                "id=\"check\"",
                "value=\"y\"",
                "`y` is no address",
            ),
            (
                "/suppressions/remove",
                "address=a%40b.example",
                "id=\"remove\"",
                "value=\"a@b.example\"",
                "tick the box",
            ),
            (
                "/runs/2/links",
                "number=1&url=no+where",
                "id=\"url-1\"",
                "value=\"no where\"",
                "no address",
            ),
        ] {
            let answer = site.press_admin(path, body).await;
            let page = answer.text();
            assert_eq!(answer.status, 409, "{body}: {page}");
            assert!(page.contains(kept), "{kept}: {page}");
            let start = page
                .find(field)
                .unwrap_or_else(|| panic!("{field}: {page}"));
            let form = page[start..].split("</form>").next().unwrap_or_default();
            assert!(
                form.contains(why) && form.contains("aria-invalid"),
                "{why}: {form}"
            );
            assert_eq!(page.matches("role=\"alert\"").count(), 1, "{page}");
            if path != "/suppressions/check" {
                assert!(page.contains("<details open>"), "{page}");
            }
        }
        // A form of no page of ours is told why, too.
        let stray = site
            .press_admin("/runs/2/links", "number=999&url=https%3A%2F%2Fa.example")
            .await;
        assert!(stray.text().contains("role=\"alert\""), "{}", stray.text());
        // Nor does a page without such a form say anything of one.
        let page = site.ask_admin("/lists", "localhost").await.text();
        assert!(
            !page.contains("aria-invalid") && !page.contains("<details open>"),
            "{page}"
        );
        site.stop().await;
    }
);

on_both!(
    a_readers_own_page_keeps_what_she_typed_where_it_is_refused,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(3).await;
        let path = format!(
            "/preferences/{}",
            site.token(Claim::Manage(SubscriptionKey(1001)))
        );
        let page = site
            .post(&path, "answer=address&email=nobody%22")
            .await
            .text();
        let told = beside(&page, "id=\"email\"");
        for part in [
            "value=\"nobody&quot;\"",
            "aria-invalid",
            "That is no address",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let page = site
            .post(&path, "answer=pause&until=2020-01-01")
            .await
            .text();
        let told = beside(&page, "id=\"until\"");
        for part in ["value=\"2020-01-01\"", "a day within the coming year"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let page = site.get(&path).await.text();
        assert!(!page.contains("aria-invalid"), "{page}");
        site.stop().await;
    }
);
