//! The first shape: `{"cn": …, "created_on": …, "closed_on": …}`.

use super::Shape;

/// V1: `cn` and `closed_on`.
pub(super) const V1: Shape =
    Shape { media_type: b"application/x-company-v1", name: "cn", active_until: "closed_on" };
