//! A field of a form, as it comes in an address.

/// What a person has filled in, without the blanks around it; `None` if that is nothing. No database knows the zero character.
pub(crate) fn given(field: Option<&String>) -> Option<String> {
    let text: String = field?.chars().filter(|letter| *letter != '\0').collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
