//! Calling an operation by its name, with JSON in and out: for everything that speaks in lines or over a wire. What
//! belongs to a subscription (`events`, `show`, `hide`) is not here, because its answer is a stream.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api::{Api, ClaimMessage, GetAllMessages, SetLifetime},
    error::{Code, Error, Result},
    message::{MessageId, SaveMessage},
    room::PutRoom,
};

/// The operations of [`dispatch`], as every face names them.
pub const OPERATIONS: [&str; 9] = [
    "save_message",
    "get_message",
    "get_all_messages",
    "delete_message",
    "set_lifetime",
    "claim_message",
    "list_rooms",
    "put_room",
    "konnichiwa",
];

/// Names one message.
#[derive(serde::Deserialize)]
struct One {
    id: MessageId,
}

/// Does an operation; `unsupported` for a name that is none, `invalid` for parameters of another shape.
pub async fn dispatch(api: &dyn Api, operation: &str, request: Value) -> Result<Value> {
    match operation {
        "save_message" => write(api.save_message(read::<SaveMessage>(request)?).await?),
        "get_message" => write(api.get_message(read::<One>(request)?.id).await?),
        "get_all_messages" => write(api.get_all_messages(read::<GetAllMessages>(request)?).await?),
        "delete_message" => write(api.delete_message(read::<One>(request)?.id).await?),
        "set_lifetime" => write(api.set_lifetime(read::<SetLifetime>(request)?).await?),
        "claim_message" => write(api.claim_message(read::<ClaimMessage>(request)?).await?),
        "list_rooms" => write(api.list_rooms().await?),
        "put_room" => write(api.put_room(read::<PutRoom>(request)?).await?),
        "konnichiwa" => write(api.konnichiwa().await?),
        _ => Err(Error::new(Code::Unsupported, "there is no such operation")),
    }
}

/// Parameters of this shape, or `invalid` with what is wrong; never with what somebody wrote in them.
pub fn read<T: DeserializeOwned>(request: Value) -> Result<T> {
    serde_json::from_value(request).map_err(|error| {
        // serde quotes values it does not like, and a value may be a message.
        let why = match error.classify() {
            serde_json::error::Category::Data => "they lack something, or hold something of another kind",
            _ => "they are no JSON",
        };
        Error::new(Code::Invalid, format!("the parameters cannot be read: {why}"))
    })
}

fn write(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::new(Code::Internal, format!("an answer cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{clock::SystemClock, messenger::Messenger, settings::SettingsFile, store::memory::MemoryStore};

    #[tokio::test]
    async fn every_operation_answers_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SettingsFile::load_from(&folder.path().join("settings.json")).unwrap();
        let clock = Arc::new(SystemClock);
        let api = Messenger::new(Arc::new(MemoryStore::open(clock.clone())), settings, clock);
        let id = MessageId::random();
        let saved = json!({ "id": id, "room": "lobby", "message": "hello", "lifetime": 60_000, "once": false });
        let once = MessageId::random();
        let secret = json!({ "id": once, "room": "lobby", "message": "secret", "once": true });
        for (operation, request, part) in [
            ("put_room", json!({ "name": "lobby" }), "name"),
            ("save_message", saved, "deadline"),
            ("save_message", secret, "deadline"),
            ("get_message", json!({ "id": id }), "message"),
            ("get_all_messages", json!({ "room": "lobby" }), "messages"),
            ("set_lifetime", json!({ "id": id, "lifetime": 30_000 }), "deadline"),
            ("konnichiwa", json!({}), "greeting"),
        ] {
            let answer = dispatch(&api, operation, request).await.unwrap();
            assert!(answer.get(part).is_some(), "{operation}: {answer}");
        }
        let claim = json!({ "id": once, "nonce": uuid::Uuid::new_v4() });
        assert_eq!(dispatch(&api, "claim_message", claim).await.unwrap(), "secret");
        assert_eq!(dispatch(&api, "list_rooms", json!({})).await.unwrap()[0]["live"], 1);
        assert_eq!(dispatch(&api, "delete_message", json!({ "id": id })).await.unwrap(), Value::Null);
        let unknown = dispatch(&api, "get_messages", json!({})).await.unwrap_err();
        assert_eq!(unknown.code, Code::Unsupported);
    }

    #[tokio::test]
    async fn parameters_of_another_shape_are_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SettingsFile::load_from(&folder.path().join("settings.json")).unwrap();
        let clock = Arc::new(SystemClock);
        let api = Messenger::new(Arc::new(MemoryStore::open(clock.clone())), settings, clock);
        for request in
            [json!(null), json!([]), json!({ "room": "lobby", "message": ["swordfish"] }), json!("swordfish")]
        {
            let error = dispatch(&api, "save_message", request).await.unwrap_err();
            assert!(error.code == Code::Invalid && !error.message.contains("swordfish"), "{error}");
        }
        for operation in OPERATIONS {
            let answer = dispatch(&api, operation, json!({ "x": 1 })).await;
            assert_ne!(answer.err().map(|error| error.code), Some(Code::Unsupported), "{operation}");
        }
    }
}
