//! Version 1 of a registry's object.

use super::Shape;

/// Media types are compared without regard to case (RFC 9110 §8.3.1).
pub(super) const MEDIA_TYPE: &[u8] = b"application/x-company-v1";

pub(super) const SHAPE: Shape = Shape { name: "cn", date: "closed_on" };
