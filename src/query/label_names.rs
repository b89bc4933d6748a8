//! What may name labels: one name or several, owned or not.

use super::shape::Sealed;

/// What names labels in [`Selection::by`](super::Selection::by): a name, or an array, slice or vector of names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name labels",
    label = "expected `\"route\"`, `[\"route\", \"code\"]`, a slice or a `Vec` of names"
)]
pub trait LabelNames: Sealed {
    #[doc(hidden)]
    fn names(self) -> Vec<Box<str>>;
}

macro_rules! names {
    ($([$($generics:tt)*] $type:ty, $self:ident => $names:expr;)*) => {$(
        impl<$($generics)*> Sealed for $type {}
        impl<$($generics)*> LabelNames for $type {
            fn names($self) -> Vec<Box<str>> {
                $names
            }
        }
    )*};
}

fn boxed<N: AsRef<str>>(names: &[N]) -> Vec<Box<str>> {
    names.iter().map(|n| n.as_ref().into()).collect()
}

names! {
    [] &str, self => vec![self.into()];
    [] String, self => vec![self.into()];
    [] &String, self => vec![self.as_str().into()];
    [N: AsRef<str>, const C: usize] [N; C], self => boxed(&self);
    [N: AsRef<str>, const C: usize] &[N; C], self => boxed(self);
    [N: AsRef<str>] &[N], self => boxed(self);
    [N: AsRef<str>] Vec<N>, self => boxed(&self);
    [N: AsRef<str>] &Vec<N>, self => boxed(self);
}
