//! Reading `issue.md`: front matter and Markdown into typed blocks.
