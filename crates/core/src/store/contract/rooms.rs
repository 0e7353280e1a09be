//! Rooms, and the one ordered stream of changes.
use super::*;

pub async fn changes_come_in_order(subject: &Subject) {
    let mut changes = subject.changes().await;
    let (message, once) = (new("x", 60), NewRecord { once: Some(b"secret".to_vec()), ..new("", 60) });
    // Each is awaited before the next is made: what has ended when it would be told is not told.
    let stamp = subject.save(message.clone()).await;
    let told = next(&mut changes).await;
    assert!(matches!(&told, Change::Saved(record) if record.id == message.id), "{told:?}");
    // A repeated save changes nothing.
    subject.save(message.clone()).await;
    subject.save(once.clone()).await;
    let told = next(&mut changes).await;
    assert!(matches!(&told, Change::Saved(record) if record.id == once.id && record.payload.is_empty()), "{told:?}");
    let moved = subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await.unwrap();
    let told = next(&mut changes).await;
    let same = |id, deadline| (id, deadline) == (message.id, moved.deadline);
    assert!(matches!(told, Change::Moved { id, deadline } if same(id, deadline)), "{told:?}");
    subject.store.delete(message.id).await.unwrap();
    let told = next(&mut changes).await;
    assert!(matches!(told, Change::Ended { id, by: EndedBy::Deletion } if id == message.id), "{told:?}");
    subject.store.claim(once.id, [1; 16]).await.unwrap();
    let told = next(&mut changes).await;
    assert!(matches!(told, Change::Ended { id, by: EndedBy::Claim } if id == once.id), "{told:?}");
    subject.store.put_room(PutRoom::ensure("ops".parse().unwrap())).await.unwrap();
    let told = next(&mut changes).await;
    assert!(matches!(&told, Change::Room(room) if room.name.as_str() == "ops"), "{told:?}");
    // Expiry does not travel.
    subject.save(new("short", 1)).await;
    subject.clock.advance(SECOND);
    subject.save(new("after", 60)).await;
    loop {
        match next(&mut changes).await {
            Change::Saved(record) if record.payload == b"after" => break,
            // Told in time, or not at all.
            Change::Saved(record) => assert_eq!(record.payload, b"short"),
            other => panic!("not a message: {other:?}"),
        }
    }
}

pub async fn a_reader_that_does_not_keep_up_gets_a_reset(subject: &Subject) {
    let (mut changes, mut other) = (subject.changes().await, subject.store.changes());
    let saves = (0..3_000).map(|_| subject.store.save(new("x", 60)));
    assert!(futures_util::future::join_all(saves).await.iter().all(Result::is_ok));
    // Another reader shows that all of them have been told.
    let last = subject.live().await[0].id;
    while !matches!(next(&mut other).await, Change::Saved(record) if record.id == last) {}
    assert!(matches!(next(&mut changes).await, Change::Reset));
    // After it come the changes that are left, in order, up to the last.
    let (newest, mut last) = (subject.live().await[0].seq, 0);
    while last < newest {
        if let Change::Saved(record) = next(&mut changes).await {
            assert!(record.seq > last);
            last = record.seq;
        }
    }
}

pub async fn an_unknown_room_reads_as_empty(subject: &Subject) {
    let page = subject.store.page(room(), None, 50).await.unwrap();
    assert!(page.records.is_empty() && !page.more);
    assert!(subject.store.rooms().await.unwrap().is_empty());
    assert_eq!(code(subject.store.save(new("x", 60)).await), Code::NotFound);
    assert_eq!(code(subject.store.get(MessageId::random()).await), Code::NotFound);
}

pub async fn rooms_are_kept_with_their_live_count(subject: &Subject) {
    subject.with_lobby().await;
    let ops = PutRoom { lifetime: Some(Lifetime::SHORTEST), ..PutRoom::ensure("ops".parse().unwrap()) };
    let put = subject.store.put_room(ops).await.unwrap();
    assert_eq!(subject.store.put_room(PutRoom::ensure(put.name.clone())).await.unwrap(), put);
    for seconds in [1, 60, 60] {
        subject.save(new("x", seconds)).await;
    }
    subject.store.delete(subject.live().await[0].id).await.unwrap();
    let live = async || {
        subject
            .store
            .rooms()
            .await
            .unwrap()
            .into_iter()
            .map(|room| (room.name.to_string(), room.live))
            .collect::<Vec<_>>()
    };
    assert_eq!(live().await, [("lobby".to_owned(), 2), ("ops".to_owned(), 0)]);
    subject.clock.advance(SECOND);
    assert_eq!(live().await[0].1, 1, "the count follows expiry");
    eventually("what has ended is swept", async || subject.unswept.0() == 1).await;
}

pub async fn a_room_is_forgotten_after_thirty_days(subject: &Subject) {
    subject.with_lobby().await;
    subject.store.put_room(PutRoom::ensure("ops".parse().unwrap())).await.unwrap();
    for _ in 0..29 {
        subject.clock.advance(24 * 60 * MINUTE);
        subject.store.health(false).await.unwrap();
    }
    subject.store.save(new("still used", 60)).await.unwrap();
    subject.clock.advance(24 * 60 * MINUTE);
    eventually("the unused room is forgotten", async || {
        let rooms = subject.store.rooms().await.unwrap();
        rooms.len() == 1 && rooms[0].name == RoomName::lobby()
    })
    .await;
}
