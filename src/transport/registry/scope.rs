//! What we want to be allowed to do.

/// What must be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    repository: String,
    push: bool,
    delete: bool,
    /// Another repository to be read: where a blob is mounted from.
    also: Option<String>,
}

impl Scope {
    /// The repository that it is about; empty for none.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// Nothing but saying hello.
    pub(super) fn none() -> Self {
        Self::pull("")
    }

    /// Reading a repository.
    pub(super) fn pull(repository: &str) -> Self {
        Self { repository: repository.to_owned(), push: false, delete: false, also: None }
    }

    /// Reading and writing a repository.
    pub(super) fn push(repository: &str) -> Self {
        Self { repository: repository.to_owned(), push: true, delete: false, also: None }
    }

    /// Deleting in it besides: what giving up an upload counts as.
    pub(super) fn and_delete(mut self) -> Self {
        self.delete = true;
        self
    }

    /// Reading another one besides.
    pub(super) fn and_pull(mut self, repository: &str) -> Self {
        self.also = Some(repository.to_owned());
        self
    }

    /// As a token service reads it ("Docker Registry Token Scope").
    pub(super) fn texts(&self) -> Vec<String> {
        if self.repository.is_empty() {
            return Vec::new();
        }
        let actions = match (self.push, self.delete) {
            (_, true) => "pull,push,delete",
            (true, false) => "pull,push",
            (false, false) => "pull",
        };
        let own = format!("repository:{}:{actions}", self.repository);
        let also = self.also.as_ref().map(|other| format!("repository:{other}:pull"));
        std::iter::once(own).chain(also).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_name_every_repository() {
        assert!(Scope::none().texts().is_empty());
        assert_eq!(Scope::pull("a/b").texts(), ["repository:a/b:pull"]);
        assert_eq!(Scope::push("a").and_delete().texts(), ["repository:a:pull,push,delete"]);
        assert_eq!(
            Scope::push("a/b").and_pull("c").texts(),
            ["repository:a/b:pull,push", "repository:c:pull"]
        );
    }
}
