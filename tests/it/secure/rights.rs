//! Lets users in on a broker with an authorizer: the rights of `docker/kafka/acls.txt`, asked for in Kafka's own protocol,
//! because librdkafka's Rust client does not know the request.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// The rights that users need, by role.
const RIGHTS: &str = include_str!("../../../docker/kafka/acls.txt");

/// Lets a user do what these roles need.
pub fn allow(address: &str, prefix: &str, user: &str, roles: &[&str]) {
    let lines = RIGHTS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let rights = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let (mut count, mut body) = (0_i32, Vec::new());
    for right in rights.filter(|right| right[0] == "every" || roles.contains(&right[0])) {
        let [_, resource, pattern, name, operations @ ..] = &right[..] else { panic!("{right:?}") };
        for operation in operations {
            count += 1;
            body.push(match *resource {
                "topic" => 2_u8,
                "group" => 3,
                "transactionalid" => 5,
                other => panic!("{other}"),
            });
            text(&mut body, &format!("{prefix}{name}"));
            body.push(if *pattern == "prefixed" { 4 } else { 3 });
            text(&mut body, &format!("User:{user}"));
            text(&mut body, "*");
            body.push(match *operation {
                "Read" => 3,
                "Write" => 4,
                "Describe" => 8,
                "DescribeConfigs" => 10,
                other => panic!("{other}"),
            });
            // Allowed.
            body.push(3);
        }
    }
    // CreateAcls, version 1.
    let mut request = [30_i16.to_be_bytes(), 1_i16.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    text(&mut request, "tests");
    request.extend(count.to_be_bytes());
    request.extend(body);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    // Correlation id, pause, count, then for each an error code and an empty message.
    let results = &answer[12..];
    assert_eq!(results.len(), usize::try_from(count).unwrap() * 4, "{answer:?}");
    assert!(results.chunks(4).all(|result| result == [0; 4]), "{answer:?}");
}

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    into.extend(text.as_bytes());
}
