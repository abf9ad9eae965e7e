//! Real docker-registry.
