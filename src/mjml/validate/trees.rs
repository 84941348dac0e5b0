//! The validator on trees that no author would write: deep ones, and ones at random.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::mjml::components::COMPONENTS;
use crate::mjml::finding::Findings;
use crate::mjml::tree::{Attribute, Content, Document, Element, FileId, Node, Raw, Span};
use crate::mjml::validate::validate;

#[test]
fn a_deep_document_does_not_exhaust_the_stack() {
    let mut deep = element("mj-column", Vec::new(), Vec::new());
    for _ in 0..100_000 {
        deep = element("mj-column", Vec::new(), vec![Node::Element(deep)]);
    }
    let document = Document {
        files: Vec::new(),
        root: Some(element("mjml", Vec::new(), vec![Node::Element(deep)])),
        before: Vec::new(),
    };
    let mut found = Findings::default();
    validate(&document, &mut found);
    assert!(found.is_hopeless());
    // Dropping it would descend by recursion.
    std::mem::forget(document);
}

fn element(name: &str, attributes: Vec<(String, String)>, nodes: Vec<Node>) -> Element {
    let attribute = |(name, value)| Attribute {
        name,
        value,
        name_span: span(),
        value_span: span(),
    };
    Element {
        name: name.into(),
        attributes: attributes.into_iter().map(attribute).collect(),
        content: Content::Nodes(nodes),
        span: span(),
        name_span: span(),
    }
}

fn span() -> Span {
    Span {
        file: FileId(0),
        range: 3..7,
    }
}

/// Names and values that are known, nearly known, or anything.
fn word() -> impl Strategy<Value = String> {
    let names: Vec<&str> = COMPONENTS.iter().map(|known| known.name).collect();
    let component = proptest::sample::select(names).prop_map(str::to_owned);
    let known = [
        "padding",
        "mj-class",
        "name",
        "src",
        "1px",
        "#ffff",
        "rgba(1,2,3,.5)",
        "a b",
        "",
        "xmlns:a",
    ];
    let known = proptest::sample::select(known.to_vec()).prop_map(str::to_owned);
    prop_oneof![component, known, any::<String>()]
}

fn tree() -> impl Strategy<Value = Element> {
    let attributes = || proptest::collection::vec((word(), word()), 0..4);
    let leaf = (word(), attributes()).prop_map(|(name, given)| element(&name, given, Vec::new()));
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let text = |text| Node::Text(Raw { text, span: span() });
        let node = prop_oneof![
            inner.prop_map(Node::Element),
            word().prop_map(text),
            Just(Node::Comment(Raw {
                text: String::new(),
                span: span()
            })),
        ];
        (word(), attributes(), proptest::collection::vec(node, 0..5))
            .prop_map(|(name, given, nodes)| element(&name, given, nodes))
    })
}

proptest! {
    #[test]
    fn no_tree_makes_it_panic(mut root in tree(), rooted in any::<bool>()) {
        if rooted {
            root.name = "mjml".into();
        }
        let document = Document { files: Vec::new(), root: Some(root), before: Vec::new() };
        validate(&document, &mut Findings::default());
    }
}
