//! The key of one file, which opens it without asking an identity again.

use std::cell::RefCell;
use std::collections::HashSet;

use age::secrecy::ExposeSecret;
use age::{DecryptError, EncryptError, Identity, Recipient};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use zeroize::Zeroizing;

/// The key of one file.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; FILE_KEY_BYTES]>);

impl Key {
    fn of(key: &FileKey) -> Self {
        Self(Zeroizing::new(*key.expose_secret()))
    }

    fn to_file_key(&self) -> FileKey {
        FileKey::init_with_mut(|bytes| bytes.copy_from_slice(&*self.0))
    }
}

/// It fits any stanza: whether it is the right one says the proof over the header.
impl Identity for Key {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        Some(Ok(self.to_file_key()))
    }
}

/// An identity or recipient that keeps the key which it unwraps or wraps.
pub(super) struct Keeping<'a, T: ?Sized> {
    inner: &'a T,
    key: RefCell<Option<Key>>,
}

impl<'a, T: ?Sized> Keeping<'a, T> {
    pub(super) fn new(inner: &'a T) -> Self {
        Self { inner, key: RefCell::default() }
    }

    pub(super) fn key(self) -> Option<Key> {
        self.key.into_inner()
    }
}

impl Identity for Keeping<'_, dyn Identity + '_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let unwrapped = self.inner.unwrap_stanza(stanza);
        if let Some(Ok(key)) = &unwrapped {
            self.key.replace(Some(Key::of(key)));
        }
        unwrapped
    }
}

impl Recipient for Keeping<'_, dyn Recipient + '_> {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        self.key.replace(Some(Key::of(key)));
        self.inner.wrap_file_key(key)
    }
}
