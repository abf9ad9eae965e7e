//! `sealift login` and `sealift logout`.

use super::console::Console;
use super::output::Output;
use super::{places, request};
use crate::model::Result;
use crate::transport::registry::{CredentialStore, Keeper};

pub(super) fn login(request: &request::Login, console: &Console) -> Result<()> {
    let registry = &request.registry;
    let signed_in = places::client(&request.connection)?.sign_in(registry, &request.credentials)?;
    let paths = &request.connection.credentials;
    let keeper = paths.record(registry, &signed_in.credentials)?;
    let user = request.credentials.user().unwrap_or_default();
    Output::stdout().line(format!("signed in to {registry} as {user}, kept in {keeper}"))?;
    if !signed_in.checked {
        console.warn(&format!(
            "{registry} lets everybody in, so that the password may not have been looked at"
        ));
    }
    if let Keeper::File(_) = &keeper {
        console.warn(&format!(
            "it is stored unencrypted, for you alone to read; a credential helper (credsStore in {keeper}) would keep it safer"
        ));
    }
    // A file that is asked earlier may know somebody else.
    if let Ok(Some(origin)) = CredentialStore::new(paths.clone()).locate(registry)
        && origin != keeper.to_string()
    {
        console.warn(&format!(
            "the sign-in of {origin} comes first and is used instead; take it away there, with podman logout {registry}"
        ));
    }
    Ok(())
}

pub(super) fn logout(request: &request::Logout, console: &Console) -> Result<()> {
    let registry = &request.registry;
    let said = match request.paths.forget(registry)? {
        Some(keeper) => format!("signed out of {registry}, taken out of {keeper}"),
        None => format!("nobody was signed in to {registry}"),
    };
    Output::stdout().line(said)?;
    if let Ok(Some(origin)) = CredentialStore::new(request.paths.clone()).locate(registry) {
        console.warn(&format!("{origin} still has a sign-in for {registry}, which is used"));
    }
    Ok(())
}
