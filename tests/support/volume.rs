//! A volume of a bundle, member by member, as `docs/format.md` has it: for whoever seals bundles by
//! hand, fuzz targets among them.

/// One zstd frame as the format wants it.
pub(crate) fn frame(content: &[u8]) -> Vec<u8> {
    let mut packer = zstd::bulk::Compressor::new(3).expect("a level that there is");
    packer.include_checksum(true).expect("zstd knows checksums");
    packer.compress(content).expect("memory can be packed")
}

/// Appends a member with the canonical header.
pub(crate) fn put_member(volume: &mut Vec<u8>, name: &str, content: &[u8], time: u64) {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(content.len() as u64);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    volume.extend_from_slice(header.as_bytes());
    volume.extend_from_slice(content);
    volume.resize(volume.len().next_multiple_of(512), 0);
}

/// Ends the last volume: the manifest, signatures by the names of their keys, the tail.
pub(crate) fn end(
    volume: &mut Vec<u8>,
    manifest: &[u8],
    signatures: &[(String, Vec<u8>)],
    time: u64,
) {
    let at = volume.len();
    put_member(volume, "manifest", manifest, time);
    for (id, signature) in signatures {
        put_member(volume, &format!("signatures/{id}.sig"), signature, time);
    }
    put_member(volume, "tail", format!("sealift tail 1\nmanifest {at:020}\n").as_bytes(), time);
    volume.resize(volume.len() + 1024, 0);
}
