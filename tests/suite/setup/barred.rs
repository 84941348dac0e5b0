//! A PostgreSQL that does not let us in, and settings of the environment that are none.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

use super::publication;

/// PostgreSQL's protocol 3.0: the request for TLS, which is declined by one letter.
const TLS: u32 = 80_877_103;
/// The demand for a password in clear.
const PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// The body of a message that begins with its own length.
fn body(from: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    from.read_exact(&mut length).expect("a length");
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    from.read_exact(&mut body).expect("a body");
    body
}

/// Ends a connection with this code and message.
fn refuse(stream: &mut TcpStream, code: &str, message: &str) {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    stream.write_all(b"E").expect("a write");
    stream.write_all(&length.to_be_bytes()).expect("a write");
    stream.write_all(fields.as_bytes()).expect("a write");
}

/// A server that is starting when it is first asked, and refuses every password from then on; gives its port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            if body(&mut stream).starts_with(&TLS.to_be_bytes()) {
                stream.write_all(b"N").expect("a write");
                body(&mut stream);
            }
            if number == 0 {
                refuse(&mut stream, "57P03", "the database system is starting up");
                continue;
            }
            stream.write_all(&PASSWORD).expect("a write");
            stream.read_exact(&mut [0]).expect("a letter");
            assert_eq!(body(&mut stream), b"canary\0");
            refuse(
                &mut stream,
                "28P01",
                "password authentication failed for user \"press\"",
            );
        }
    });
    port
}

fn run(folder: &std::path::Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
    command.args(arguments).current_dir(folder).env_clear();
    let output = command.envs(variables.iter().copied()).output();
    output.expect("the program runs")
}

#[test]
fn a_server_that_starts_is_waited_for_and_one_that_refuses_the_password_is_not() {
    let folder = publication();
    let url = format!("postgres://press:canary@127.0.0.1:{}/news", server());
    let serve = ["serve", "--role", "sender"];
    let output = run(folder.path(), &serve, &[("PRESSRUN_DATABASE__URL", &url)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("waiting for the database"), "{said}");
    assert!(
        said.ends_with(
            "the database does not let us in (password authentication failed for user \"press\"); correct user and \
             password in `database.url`\n"
        ),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_variable_that_begins_like_a_setting_and_is_none_is_told() {
    let folder = publication();
    let near = [("PRESSRUN_HTTP_PUBLIC", "127.0.0.1:1")];
    let output = run(folder.path(), &["config", "show"], &near);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "`PRESSRUN_HTTP_PUBLIC`: is no setting; did you mean `PRESSRUN_HTTP__PUBLIC`?"
        ),
        "{said}"
    );
    let others = [
        ("PRESSRUN_SHED_COLOUR", "red"),
        ("PRESSRUN_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ];
    let output = run(folder.path(), &["config", "show"], &others);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.starts_with("warning: environment variable `PRESSRUN_SHED_COLOUR` is no setting"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}
