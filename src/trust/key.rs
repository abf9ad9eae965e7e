//! Ed25519 keys in the files that OpenSSL reads and writes: PKCS#8 PEM for secret keys (RFC 5958,
//! encrypted or not), SPKI PEM for public ones (RFC 8410).

use std::fmt;
use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::codec::private::{read_private, read_small};
use crate::model::{Digest, Error, Kind, Result};

/// Length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// Names a key: the SHA-256 of its 32 public bytes. A hint for finding the key, never a proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Reads the 64 hexadecimal digits that [`Display`](fmt::Display) prints.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The first sixteen hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..8])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that checks signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads an SPKI PEM text. `origin` names it in errors.
    ///
    /// # Errors
    /// [`Kind::Usage`]: not such a key, or a weak one (a point of small order, for which anybody
    /// can make signatures).
    pub fn from_pem(text: &str, origin: &str) -> Result<Self> {
        let key = VerifyingKey::from_public_key_pem(text).map_err(|e| {
            Error::usage(format!("{origin} holds no Ed25519 public key in PEM form"))
                .because(e.to_string())
                .hint("make one with `sealift key generate`, or `openssl pkey -in KEY -pubout`")
        })?;
        if key.is_weak() {
            return Err(Error::usage(format!(
                "the key in {origin} is weak: anybody can sign for it"
            ))
            .hint("remove it and use a key made by `sealift key generate` or openssl"));
        }
        Ok(Self(key))
    }

    /// Reads a PEM text, or only what stands between its first line and its last: base64.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem).
    pub fn from_text(text: &str, origin: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("-----") {
            return Self::from_pem(text, origin);
        }
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
        Self::from_pem(&pem, origin)
    }

    /// Reads a public key file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_small(path, "public key")?;
        Self::from_pem(&text, &path.display().to_string())
    }

    /// The SPKI PEM text, as `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> Result<String> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(unencodable)
    }

    /// The same in one line of base64, as [`from_text`](Self::from_text) reads it.
    pub fn to_line(&self) -> Result<String> {
        Ok(self.to_pem()?.lines().filter(|line| !line.starts_with('-')).collect())
    }

    /// The name of the key.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 32];
        id.copy_from_slice(Digest::of(self.0.as_bytes()).bytes());
        KeyId(id)
    }

    /// Whether `signature` is this key's over exactly `message`. Strict: malleable signatures and
    /// points of small order are refused (`verify_strict`).
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// A key that makes signatures. It is wiped from memory when dropped and never printed.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key from the system's random numbers.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(|e| {
            Error::new(Kind::Io, "the system gives no random numbers").because(e.to_string())
        })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a secret key file.
    ///
    /// `passphrase` is asked only when the file is encrypted.
    ///
    /// # Errors
    /// [`Kind::Usage`]: not such a key, readable by others than its owner, a symbolic link, or a
    /// wrong passphrase.
    pub fn load(
        path: &Path,
        passphrase: &mut dyn FnMut() -> Result<Zeroizing<String>>,
    ) -> Result<Self> {
        let text = Zeroizing::new(read_private(path, "secret key")?);
        let key = if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            let secret = passphrase()?;
            SigningKey::from_pkcs8_encrypted_pem(&text, secret.as_bytes()).map_err(|_| {
                Error::usage(format!("the passphrase does not open {}", path.display()))
                    .hint("try again; the file may also be damaged, or encrypted in a way that only OpenSSL knows")
            })?
        } else {
            SigningKey::from_pkcs8_pem(&text).map_err(|e| {
                Error::usage(format!("{} holds no Ed25519 secret key in PEM form", path.display()))
                    .because(e.to_string())
                    .hint("make one with `sealift key generate`, or `openssl genpkey -algorithm ed25519`")
            })?
        };
        Ok(Self(key))
    }

    /// The PKCS#8 PEM text, encrypted (scrypt, AES-256-CBC) when a passphrase is given.
    ///
    /// It is version 1, without the public key: OpenSSL before 3.5 refuses version 2.
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        match passphrase {
            None => pair.to_pkcs8_pem(LineEnding::LF).map_err(unencodable),
            Some(secret) => {
                pair.to_pkcs8_encrypted_pem(secret.as_bytes(), LineEnding::LF).map_err(unencodable)
            }
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs exactly these bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

fn unencodable(error: impl fmt::Display) -> Error {
    Error::new(Kind::Io, "the key cannot be written as PEM").because(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use std::os::unix::fs::PermissionsExt;

    fn no_passphrase() -> Result<Zeroizing<String>> {
        panic!("asked for a passphrase")
    }

    #[test]
    fn a_key_survives_its_file_with_and_without_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = SecretKey::generate().unwrap();
        for passphrase in [None, Some("correct horse")] {
            let pem = key.to_pem(passphrase).unwrap();
            crate::codec::atomic::write_file(&path, 0o600, pem.as_bytes()).unwrap();
            let mut give = || Ok(Zeroizing::new(passphrase.unwrap().to_owned()));
            let again = SecretKey::load(&path, &mut give).unwrap();
            assert_eq!(again.public(), key.public());
        }
        let wrong = SecretKey::load(&path, &mut || Ok(Zeroizing::new("wrong".into())));
        assert_eq!(wrong.unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, SecretKey::generate().unwrap().to_pem(None).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = SecretKey::load(&path, &mut no_passphrase).unwrap_err();
        assert!(error.message().contains("0640"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        SecretKey::load(&path, &mut no_passphrase).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(SecretKey::load(&link, &mut no_passphrase).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(***)");
        let (public, id) = (key.public(), key.public().id());
        assert_eq!(format!("{public:?}"), format!("PublicKey({id})"));
        assert_eq!(format!("{id:?}"), id.to_string());
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        assert_eq!(KeyId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(KeyId::parse(&"g".repeat(64)), None);
        assert_eq!(KeyId::parse("ab"), None);
    }

    #[test]
    fn what_is_no_key_is_told_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = SecretKey::generate().unwrap();
        let (secret, public) = (key.to_pem(None).unwrap(), key.public().to_pem().unwrap());
        for text in ["", "no key", &public, &secret[..secret.len() / 2]] {
            crate::codec::atomic::write_file(&path, 0o600, text.as_bytes()).unwrap();
            let error = SecretKey::load(&path, &mut no_passphrase).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(
                error.message().ends_with("holds no Ed25519 secret key in PEM form"),
                "{error}"
            );
        }
        for text in ["", "no key", &*secret, &public[..public.len() / 2]] {
            let error = PublicKey::from_pem(text, "it").unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert_eq!(error.message(), "it holds no Ed25519 public key in PEM form");
        }
        let line = key.public().to_line().unwrap();
        assert_eq!(PublicKey::from_text(&format!(" {line}\n"), "it").unwrap(), key.public());
        assert!(PublicKey::from_text(&line[1..], "it").is_err());
    }

    #[test]
    fn a_weak_key_is_refused() {
        // The neutral element: y = 1.
        let mut point = [0u8; 32];
        point[0] = 1;
        let mut der = hex::decode("302a300506032b6570032100").unwrap();
        der.extend(point);
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        assert!(PublicKey::from_pem(&pem, "it").unwrap_err().message().contains("weak"));
    }

    #[test]
    fn signatures_fit_one_message_and_one_key() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(!other.public().verifies(b"message", &signature));
    }
}
