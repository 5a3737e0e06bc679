//! JSON read strictly. serde's derived code also takes a list for an object, its items for the fields in our source's
//! order, and `{"high": null}` for `"high"`: shapes that our documents never show, and that an ACS sends by mistake only.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected,
        VariantAccess, Visitor,
    },
};

/// Wraps a deserializer, or the part of one that serde passes on, so that it takes only an object where there are fields,
/// and only a string for a variant without content.
pub(super) struct Strict<T>(pub(super) T);

macro_rules! as_it_is {
    ($($method:ident($($name:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Strict(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Strict(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(OneOf { names, visitor })
    }

    as_it_is! {
        deserialize_any() deserialize_bool() deserialize_char() deserialize_str() deserialize_string()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_bytes() deserialize_byte_buf() deserialize_option()
        deserialize_unit() deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map() deserialize_identifier() deserialize_ignored_any()
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty)*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    plain! {
        visit_bool: bool visit_char: char visit_str: &str visit_borrowed_str: &'de str visit_string: String
        visit_i8: i8 visit_i16: i16 visit_i32: i32 visit_i64: i64 visit_i128: i128
        visit_u8: u8 visit_u16: u16 visit_u32: u32 visit_u64: u64 visit_u128: u128
        visit_f32: f32 visit_f64: f64 visit_bytes: &[u8] visit_borrowed_bytes: &'de [u8] visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Strict(fields))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Strict(value))
    }
}

/// Takes a string that names a variant, or an object with a variant's name and content.
struct OneOf<V> {
    names: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for OneOf<V> {
    type Value = V::Value;

    /// serde's wording for an unknown variant.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of `{}`", self.names.join("`, `"))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<V::Value, E> {
        self.visitor.visit_enum(name.into_deserializer())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(SaysMore(object))
    }
}

/// An object with one field: its name is the variant's, its value the content.
struct SaysMore<A>(A);

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for SaysMore<A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(mut self, name: T) -> Result<(T::Value, Self), A::Error> {
        let name = self.0.next_key_seed(name)?;
        let name = name.ok_or_else(|| Error::invalid_value(Unexpected::Map, &"an object with one field"))?;
        Ok((name, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for SaysMore<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &"a string"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, value: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Strict(value))
    }

    // No request has such variants; add the first one here.
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, items: V) -> Result<V::Value, A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &items))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        fields: V,
    ) -> Result<V::Value, A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &fields))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Mixed(Box<Inner>),
    }

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        colour: Option<Colour>,
        pair: (i32, f64),
        named: BTreeMap<String, Vec<Inner>>,
    }

    #[derive(Debug, Deserialize, Default)]
    #[serde(default)]
    struct Outer {
        inner: Option<Inner>,
        list: Vec<Inner>,
        as_written: Option<Box<RawValue>>,
        flag: bool,
    }

    fn read(json: &str) -> Result<Outer, String> {
        let mut from = serde_json::Deserializer::from_str(json);
        let read = Outer::deserialize(Strict(&mut from)).map_err(|error| error.to_string());
        // Mended bodies are read from values.
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        match (&read, Outer::deserialize(Strict(&value))) {
            (Ok(read), Ok(again)) => assert_eq!((&read.inner, &read.list), (&again.inner, &again.list)),
            (read, again) => assert!(read.is_err() && again.is_err(), "{json}: {read:?}, {again:?}"),
        }
        read
    }

    #[test]
    fn what_is_written_as_documented_is_taken() {
        let read = read(
            r#"{"inner": {"colour": {"mixed": {"colour": "red"}}, "pair": [1, 2.5], "named": {"x": [{"colour": null}]}},
                "list": [{}, {"colour": "red"}], "as_written": [1.50, {"a": "b"}], "flag": true, "other": [{}]}"#,
        )
        .unwrap();
        let inner = read.inner.unwrap();
        let red = Inner { colour: Some(Colour::Red), ..Inner::default() };
        assert_eq!((inner.colour, inner.pair), (Some(Colour::Mixed(Box::new(red))), (1, 2.5)));
        assert_eq!(inner.named["x"], [Inner::default()]);
        assert_eq!((read.list.len(), &read.list[1].colour), (2, &Some(Colour::Red)));
        assert_eq!(read.as_written.unwrap().get(), r#"[1.50, {"a": "b"}]"#);
        assert!(read.flag);
    }

    #[test]
    fn a_list_is_no_object_and_an_object_no_name_however_deep() {
        for (json, expected) in [
            ("[]", "struct Outer"),
            ("[null, [], null, true]", "struct Outer"),
            (r#"{"inner": []}"#, "struct Inner"),
            (r#"{"list": [["red"]]}"#, "struct Inner"),
            (r#"{"inner": {"named": {"x": [[]]}}}"#, "struct Inner"),
            (r#"{"inner": {"colour": {"red": null}}}"#, "expected a string"),
            (r#"{"inner": {"colour": {"mixed": []}}}"#, "struct Inner"),
            (r#"{"inner": {"colour": {"mixed": {}, "red": null}}}"#, "trailing"),
            (r#"{"inner": {"colour": {}}}"#, "one field"),
            (r#"{"list": [{"colour": 5}]}"#, "one of `red`, `mixed`"),
            (r#"{"list": [{"colour": ["red"]}]}"#, "one of `red`, `mixed`"),
            (r#"{"list": [{"colour": "blue"}]}"#, "`red` or `mixed`"),
            (r#"{"list": [{"colour": "mixed"}]}"#, "newtype variant"),
        ] {
            let said = read(json).unwrap_err();
            assert!(said.contains(expected), "{json}: {said}");
        }
    }
}
