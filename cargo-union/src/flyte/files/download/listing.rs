//! The objects below a prefix, as a store with the API of S3 lists them (`ListObjectsV2`).

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListPage {
    pub(super) objects: Vec<ListedObject>,
    /// The continuation token for the next page; `None` at the end.
    pub(super) next: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedObject {
    pub(super) key: String,
    pub(super) size: u64,
}

impl ListPage {
    /// Reads a page; `None` when it is not one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let result = element(text, "ListBucketResult")?.0;
        let mut objects = Vec::new();
        let mut rest = result;
        while let Some((object, after)) = element(rest, "Contents") {
            objects.push(ListedObject {
                key: unescaped(element(object, "Key")?.0)?,
                size: element(object, "Size")?.0.trim().parse().ok()?,
            });
            rest = after;
        }
        let is_truncated = element(result, "IsTruncated").is_some_and(|(text, _)| text == "true");
        let next = match element(result, "NextContinuationToken") {
            Some((token, _)) if is_truncated => Some(unescaped(token)?),
            None if is_truncated => return None,
            _ => None,
        };
        Some(Self { objects, next })
    }
}

/// The content of the first element of a name, and what follows it. Elements of one name are not nested here.
fn element<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("<{name}");
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find(&open)? + open.len();
        let rest = text.get(start..)?;
        // Another name may begin in the same way.
        if rest.starts_with(['>', ' ', '\n', '\r', '\t', '/']) {
            let (attributes, content) = rest.split_once('>')?;
            if attributes.ends_with('/') {
                return Some(("", content));
            }
            return content.split_once(&format!("</{name}>"));
        }
        from = start;
    }
}

/// Text with its entities replaced; `None` for an entity that XML does not define.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            entity => {
                let number = entity.strip_prefix('#')?;
                let (digits, radix) = match number.strip_prefix('x') {
                    Some(digits) => (digits, 16),
                    None => (number, 10),
                };
                // The conversion accepts a sign too.
                let number = u32::from_str_radix(digits, radix)
                    .ok()
                    .filter(|_| !digits.starts_with('+'))?;
                char::from_u32(number)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn page_has_objects_and_the_next_page() {
        let page = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><KeyCount>2</KeyCount>\
            <IsTruncated>true</IsTruncated><Contents><Key>d/a&amp;b &#x26; &#39;c</Key><ETag>&quot;x&quot;</ETag><Size>12</Size></Contents>\
            <Contents><Key>d/e</Key><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>\
            <NextContinuationToken>t&lt;1</NextContinuationToken></ListBucketResult>";
        let object = |key: &str, size| ListedObject {
            key: key.to_owned(),
            size,
        };
        assert_eq!(
            ListPage::read(page).unwrap(),
            ListPage {
                objects: vec![object("d/a&b & 'c", 12), object("d/e", 0)],
                next: Some("t<1".to_owned())
            }
        );
        assert_eq!(
            ListPage::read("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
            Some(ListPage::default())
        );
    }

    #[test]
    fn invalid_listing_page_is_none() {
        for text in [
            "",
            "<html></html>",
            "<ListBucketResult>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>&nbsp;</Key><Size>1</Size></Contents></ListBucketResult>",
        ] {
            assert_eq!(ListPage::read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_texts_are_read_or_refused(text in "(<(/?(ListBucketResult|Contents|Key|Size|IsTruncated))?[ />]?|&#?x?|[a-z0-9;]|é){0,30}") {
            drop(ListPage::read(&text));
            drop(ListPage::read(&format!("<ListBucketResult>{text}</ListBucketResult>")));
        }
    }
}
