//! What leaves for other stores.

mod push;

pub use self::push::PushGateway;
