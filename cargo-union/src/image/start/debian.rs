//! Debian packages of shared libraries. Their names are derived from the sonames (Debian policy, 8.1), with exceptions.

/// Prefixes of sonames whose packages do not follow the policy.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("libc.so.", "libc6"),
    ("libdl.so.", "libc6"),
    ("libm.so.", "libc6"),
    ("libpthread.so.", "libc6"),
    ("librt.so.", "libc6"),
    ("libz.so.1", "zlib1g"),
    ("libcrypto.so.3", "libssl3"),
    ("libcrypto.so.1.1", "libssl1.1"),
    ("libxml2.so.2", "libxml2"),
    ("libjpeg.so.62", "libjpeg62-turbo"),
    ("libcurl-gnutls.so.4", "libcurl3-gnutls"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libgio-2.0.so.0", "libglib2.0-0"),
    ("libgobject-2.0.so.0", "libglib2.0-0"),
    ("libgmodule-2.0.so.0", "libglib2.0-0"),
    ("libgthread-2.0.so.0", "libglib2.0-0"),
];

/// The default suggestion for a base, and its version of glibc.
pub(super) const NEWEST: (&str, &str) = ("debian:trixie-slim", "GLIBC_2.41");

/// Releases of Debian and Ubuntu, and their versions of Python.
const PYTHONS: [(&str, &str); 6] = [
    ("bullseye", "3.9"),
    ("bookworm", "3.11"),
    ("trixie", "3.13"),
    ("focal", "3.8"),
    ("jammy", "3.10"),
    ("noble", "3.12"),
];

/// The package of a library; `None` if the name has no version.
pub(super) fn package(soname: &str) -> Option<String> {
    if let Some((_, package)) = EXCEPTIONS
        .iter()
        .find(|(start, _)| soname.starts_with(start))
    {
        return Some((*package).to_owned());
    }
    if let Some(version) = python(soname) {
        return Some(format!("libpython{version}"));
    }
    // `libfoo.so.1` is in libfoo1, `libfoo2.so.1` and `libfoo-2.so.1` are in libfoo2-1 and libfoo-2-1, and
    // `libfoo-2.so` is in libfoo-2.
    let (name, version) = match soname.split_once(".so.") {
        Some((name, version)) => (name, version),
        None => (
            soname
                .strip_suffix(".so")
                .filter(|name| name.ends_with(is_digit))?,
            "",
        ),
    };
    let dash = if name.ends_with(is_digit) && !version.is_empty() {
        "-"
    } else {
        ""
    };
    Some(
        format!("{name}{dash}{version}")
            .to_lowercase()
            .replace('_', "-"),
    )
}

/// The version of a Python library: `3.11` of `libpython3.11.so.1.0`.
pub(super) fn python(soname: &str) -> Option<&str> {
    let (version, _) = soname.strip_prefix("libpython")?.split_once(".so.")?;
    version.starts_with("3.").then_some(version)
}

/// Whether a release has a version of Python.
pub(super) fn has_python(codename: &str, version: &str) -> bool {
    PYTHONS.contains(&(codename, version))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sonames_have_debian_packages() {
        for (soname, name) in [
            ("libpq.so.5", "libpq5"),
            ("libssl.so.3", "libssl3"),
            ("libcrypto.so.3", "libssl3"),
            ("libgcc_s.so.1", "libgcc-s1"),
            ("libstdc++.so.6", "libstdc++6"),
            ("libz.so.1", "zlib1g"),
            ("libX11.so.6", "libx11-6"),
            ("libGL.so.1", "libgl1"),
            ("libsqlite3.so.0", "libsqlite3-0"),
            ("libbz2.so.1.0", "libbz2-1.0"),
            ("libpng16.so.16", "libpng16-16"),
            ("libldap-2.5.so.0", "libldap-2.5-0"),
            ("libdb-5.3.so", "libdb-5.3"),
            ("libglib-2.0.so.0", "libglib2.0-0"),
            ("libpython3.11.so.1.0", "libpython3.11"),
        ] {
            assert_eq!(package(soname).as_deref(), Some(name), "{soname}");
        }
        for unversioned in ["libfoo.so", "plugin", "libtorch_cpu.so"] {
            assert_eq!(package(unversioned), None, "{unversioned}");
        }
    }
}
