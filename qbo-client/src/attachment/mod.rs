//! Files that are attached to records: which record describes a file, and how the file is fetched.
//!
//! A file is not at QuickBooks' API but at a host of its own. Its link is part of the record that describes it, opens the file
//! without any further proof, and lasts 15 minutes, so it is requested right before it is used ([`attachments_query`],
//! [`Attachment::read`]) and never shown ([`FileLink`]). `FileHost` (feature `http`) fetches files, and knows no access token.

#[cfg(feature = "http")]
mod host;
mod link;
mod record;

#[cfg(feature = "http")]
pub use host::{FileBody, FileError, FileHost};
pub use link::FileLink;
pub use record::{AttachedFile, Attachment, attachments_query};
