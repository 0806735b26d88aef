"""What tests share: small real parts, servers, browsers, and references of other libraries."""
