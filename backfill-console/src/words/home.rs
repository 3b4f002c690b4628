//! The texts of the list of companies.

/// The texts of the list of companies.
#[derive(Debug)]
pub(crate) struct HomeWords {
    pub(crate) title: &'static str,
    pub(crate) none: &'static str,
}

/// In English.
pub(crate) const EN: HomeWords = HomeWords {
    title: "Companies",
    none: "The settings name no company. Add a profile, and start the console again.",
};

/// In Spanish.
pub(crate) const ES: HomeWords = HomeWords {
    title: "Empresas",
    none: "La configuración no nombra ninguna empresa. Añada un perfil e inicie la consola otra vez.",
};
