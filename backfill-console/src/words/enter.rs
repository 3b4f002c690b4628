//! The texts of the page to sign in.

/// The texts of the page to sign in.
#[derive(Debug)]
pub(crate) struct EnterWords {
    pub(crate) title: &'static str,
    pub(crate) explanation: &'static str,
    pub(crate) name: &'static str,
    pub(crate) name_hint: &'static str,
    pub(crate) key: &'static str,
    pub(crate) key_hint: &'static str,
    pub(crate) enter: &'static str,
    pub(crate) used_up: &'static str,
    pub(crate) wrong_key: &'static str,
    pub(crate) wrong_name: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) no_random: &'static str,
    pub(crate) behind_proxy: &'static str,
    pub(crate) shared_name: &'static str,
}

/// In English.
pub(crate) const EN: EnterWords = EnterWords {
    title: "Sign in",
    explanation: "Open the link that “qbo-backfill console link” prints, or enter your name and the key.",
    name: "Name",
    name_hint: "What you do is recorded under this name.",
    key: "Key",
    key_hint: "It is in the file console.key, in the data folder of the user who runs the console; with Docker Compose in secrets/qbo-console-key.",
    enter: "Sign in",
    used_up: "This link was used before or is older than two minutes. Make a new one.",
    wrong_key: "This key is not the right one.",
    wrong_name: "A name has 1 to 40 letters, digits, dots, dashes, underscores or @.",
    too_many: "Too many wrong keys. Wait a minute, or use a link.",
    no_random: "The system has no random numbers. Try again.",
    behind_proxy: "The proxy in front of this console signs people in, and did not name you. Check its settings.",
    shared_name: "At this address the browser also sends the console's cookie to other programs of this machine. Unless you use Safari, which does not know it, this one is better:",
};

/// In Spanish.
pub(crate) const ES: EnterWords = EnterWords {
    title: "Iniciar sesión",
    explanation: "Abra el enlace que muestra «qbo-backfill console link», o escriba su nombre y la clave.",
    name: "Nombre",
    name_hint: "Lo que haga quedará registrado con este nombre.",
    key: "Clave",
    key_hint: "Está en el archivo console.key, en la carpeta de datos del usuario que ejecuta la consola; con Docker Compose, en secrets/qbo-console-key.",
    enter: "Entrar",
    used_up: "Este enlace ya se usó o tiene más de dos minutos. Cree uno nuevo.",
    wrong_key: "La clave no es correcta.",
    wrong_name: "Un nombre tiene de 1 a 40 letras, cifras, puntos, guiones, guiones bajos o @.",
    too_many: "Demasiadas claves incorrectas. Espere un minuto o use un enlace.",
    no_random: "El sistema no tiene números aleatorios. Inténtelo otra vez.",
    behind_proxy: "El proxy delante de esta consola inicia las sesiones y no ha indicado su nombre. Revise su configuración.",
    shared_name: "En esta dirección, el navegador envía la cookie de la consola también a otros programas de esta máquina. Salvo en Safari, que no la conoce, es mejor esta otra:",
};
