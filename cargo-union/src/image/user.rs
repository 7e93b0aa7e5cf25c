//! Resolves users to numeric IDs: Kubernetes' `runAsNonRoot` refuses images whose user is a name.

/// A name that is neither numeric nor in the image's files.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// Not in `/etc/passwd`.
    #[error("its /etc/passwd has no user `{0}`")]
    User(String),
    /// Not in `/etc/group`.
    #[error("its /etc/group has no group `{0}`")]
    Group(String),
}

/// Whether `user[:group]` can only be resolved with the image's files.
pub fn has_names(user: &str) -> bool {
    user.split(':').any(|part| !is_number(part))
}

/// Resolves `user[:group]` to IDs. A named user without a group gets the primary group of its entry; a numeric user
/// without a group is not changed, and the container runtime looks up its group.
///
/// # Errors
/// When a name is not in the files. `root` is 0 even without files.
pub fn numeric(
    user: &str,
    passwd: Option<&str>,
    group: Option<&str>,
) -> Result<String, UnknownName> {
    let (user, group_name) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let (uid, primary) = if is_number(user) {
        (user.to_owned(), None)
    } else {
        let entry = passwd
            .and_then(|passwd| entry(passwd, user))
            .or((user == "root").then(|| ("0".to_owned(), "0".to_owned())));
        let (uid, gid) = entry.ok_or_else(|| UnknownName::User(user.to_owned()))?;
        (uid, Some(gid).filter(|gid| is_number(gid)))
    };
    let gid = match group_name {
        Some(name) if !is_number(name) => {
            let gid = group
                .and_then(|group| entry(group, name))
                .map(|(gid, _)| gid)
                .or((name == "root").then(|| "0".to_owned()));
            Some(gid.ok_or_else(|| UnknownName::Group(name.to_owned()))?)
        }
        Some(number) => Some(number.to_owned()),
        None => primary,
    };
    Ok(gid.map_or(uid.clone(), |gid| format!("{uid}:{gid}")))
}

/// The third and fourth field of the line of a name in passwd or group.
fn entry(file: &str, name: &str) -> Option<(String, String)> {
    file.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let number = fields
            .get(2)
            .filter(|field| fields[0] == name && is_number(field))?;
        Some((
            (*number).to_owned(),
            fields.get(3).copied().unwrap_or_default().to_owned(),
        ))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:34:www:/var/www:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:www-data\n";

    #[test]
    fn user_and_group_names_are_resolved_to_ids() {
        for (user, expected) in [
            ("www-data", "33:34"),
            ("www-data:staff", "33:50"),
            ("www-data:7", "33:7"),
            ("1000", "1000"),
            ("1000:staff", "1000:50"),
            ("0:0", "0:0"),
        ] {
            assert_eq!(
                numeric(user, Some(PASSWD), Some(GROUP)).unwrap(),
                expected,
                "{user}"
            );
        }
    }

    #[test]
    fn unknown_users_and_groups_are_errors() {
        assert_eq!(
            numeric("nobody", Some(PASSWD), Some(GROUP)),
            Err(UnknownName::User("nobody".to_owned()))
        );
        assert_eq!(
            numeric("33:wheel", Some(PASSWD), Some(GROUP)),
            Err(UnknownName::Group("wheel".to_owned()))
        );
        assert_eq!(
            numeric("www", Some(PASSWD), None),
            Err(UnknownName::User("www".to_owned()))
        );
    }

    #[test]
    fn root_needs_no_files() {
        assert_eq!(numeric("root", None, None).unwrap(), "0:0");
        assert_eq!(numeric("root:root", None, None).unwrap(), "0:0");
    }
}
