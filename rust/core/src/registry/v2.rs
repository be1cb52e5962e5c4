//! The second shape: `{"company_name": …, "tin": …, "dissolved_on": …}`.

use super::Shape;

/// V2: `company_name` and `dissolved_on`.
pub(super) const V2: Shape =
    Shape { media_type: b"application/x-company-v2", name: "company_name", active_until: "dissolved_on" };
