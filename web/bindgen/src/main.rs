//! Writes the JavaScript glue of a wasm module, as `wasm-bindgen --target web` does. The whole command would bring a test server
//! and its network stack, which take most of its build.

use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder, name] = arguments.as_slice() else {
        eprintln!("usage: thisbut-bindgen MODULE.wasm FOLDER NAME    writes FOLDER/NAME.js and FOLDER/NAME_bg.wasm");
        return ExitCode::from(2);
    };
    match write(module, folder, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("thisbut-bindgen: {module}: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the wasm file `module` and writes glue and module into `folder`.
fn write(module: &str, folder: &str, name: &str) -> Result<(), String> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name(name).typescript(false);
    // The loader imports the glue as a module and gives it the response to compile.
    bindgen.web(true).map_err(|e| format!("{e:#}"))?;
    bindgen.generate(folder).map_err(|e| format!("{e:#}"))
}
