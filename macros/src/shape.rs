//! What a function returns, and how its body ends.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Block, Expr, ExprAsync, ExprCall, GenericArgument, PathArguments, ReturnType, Stmt, Type,
    TypeParamBound, parse2,
};

pub fn output_type(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => parse_type(quote! { () }),
        ReturnType::Type(_, output) => (**output).clone(),
    }
}

pub fn parse_type(tokens: TokenStream) -> Type {
    parse2(tokens).unwrap_or_else(|_| Type::Verbatim(TokenStream::new()))
}

/// Whether `impl Trait` is in it, which no local type can be.
pub fn names_impl(output: &Type) -> bool {
    fn any(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(word) => word == "impl",
            proc_macro2::TokenTree::Group(group) => any(group.stream()),
            _ => false,
        })
    }
    any(output.to_token_stream())
}

/// `impl Future<..>` and `Pin<Box<dyn Future<..>>>`, with whatever bounds.
pub fn is_future(output: &Type) -> bool {
    bound_of_future(output).is_some()
}

fn bound_of_future(output: &Type) -> Option<&syn::PathSegment> {
    let bounds = match output {
        Type::ImplTrait(opaque) => &opaque.bounds,
        Type::TraitObject(object) => &object.bounds,
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(inside) = &last.arguments else {
                return None;
            };
            let wraps = last.ident == "Pin" || last.ident == "Box";
            return match inside.args.first()? {
                GenericArgument::Type(inner) if wraps => bound_of_future(inner),
                _ => None,
            };
        }
        _ => return None,
    };
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .filter(|last| last.ident == "Future"),
        _ => None,
    })
}

/// `T` of `Future<Output = T>`.
pub fn future_output(output: &ReturnType) -> Option<Type> {
    let ReturnType::Type(_, output) = output else {
        return None;
    };
    let PathArguments::AngleBracketed(inside) = &bound_of_future(output)?.arguments else {
        return None;
    };
    inside.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(of) if of.ident == "Output" => Some(of.ty.clone()),
        _ => None,
    })
}

pub fn async_tail(block: &Block) -> Option<ExprAsync> {
    async_tail_mut(&mut block.clone()).map(|tail| tail.clone())
}

/// The `async` block that ends it, perhaps in `Box::pin(..)`.
pub fn async_tail_mut(block: &mut Block) -> Option<&mut ExprAsync> {
    let Stmt::Expr(tail, None) = block.stmts.last_mut()? else {
        return None;
    };
    match tail {
        Expr::Async(tail) => Some(tail),
        Expr::Call(ExprCall { args, .. }) if args.len() == 1 => match args.first_mut()? {
            Expr::Async(tail) => Some(tail),
            _ => None,
        },
        _ => None,
    }
}
