//! The attribute `#[timed]`, which `metrics-recall` re-exports and documents.

mod arguments;
mod expand;
mod names;
mod shape;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, parse2};

// Documented where it is re-exported.
#[expect(missing_docs, reason = "the re-export has the documentation")]
#[proc_macro_attribute]
pub fn timed(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let item: TokenStream = item.into();
    let timed = expand_timed(arguments.into(), &item);
    // The item stays as it is beside an error, so that nothing else seems to be wrong.
    timed
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote! { #error #item }
        })
        .into()
}

fn expand_timed(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream, Error> {
    let arguments = parse2(arguments)?;
    let function = parse2::<ItemFn>(item.clone())
        .map_err(|error| expand::not_a_function(item).unwrap_or(error))?;
    expand::function(&arguments, &function)
}

#[cfg(test)]
mod tests;
