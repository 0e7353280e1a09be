//! Messages: saved once, read whole, ordered, paged, deleted, claimed.
use super::*;

pub async fn a_saved_message_is_read_back(subject: &Subject) {
    let message = new("hello", 60);
    let stamp = subject.save(message.clone()).await;
    let record = subject.store.get(message.id).await.unwrap();
    assert_eq!(record.payload, message.payload);
    assert_eq!(record.stamp(stamp.now), stamp);
    assert_eq!(stamp.deadline, stamp.accepted + MINUTE);
    assert_eq!(subject.live().await, [record]);
    let long = NewRecord { payload: (0..LARGEST_PAYLOAD).map(|n| n as u8).collect(), ..new("", 60) };
    subject.save(long.clone()).await;
    assert!(subject.store.get(long.id).await.unwrap().payload == long.payload, "a long payload comes back whole");
}

pub async fn a_repeated_save_changes_nothing(subject: &Subject) {
    let message = new("first", 60);
    let first = subject.save(message.clone()).await;
    subject.clock.advance(10 * SECOND);
    let again = NewRecord { payload: b"second".to_vec(), ..message.clone() };
    let second = subject.store.save(again).await.unwrap();
    assert_eq!((second.seq, second.accepted, second.deadline), (first.seq, first.accepted, first.deadline));
    assert_eq!(second.now, first.now + 10 * SECOND);
    assert_eq!(subject.live().await.len(), 1);
    assert_eq!(subject.store.get(message.id).await.unwrap().payload, b"first");
}

pub async fn an_ended_message_is_never_revived(subject: &Subject) {
    let (deleted, expired) = (new("deleted", 60), new("expired", 1));
    subject.save(deleted.clone()).await;
    subject.save(expired.clone()).await;
    subject.store.delete(deleted.id).await.unwrap();
    subject.clock.advance(SECOND);
    for message in [deleted, expired] {
        assert_eq!(code(subject.store.save(message).await), Code::Ended);
    }
    assert!(subject.live().await.is_empty());
}

pub async fn a_deleted_unknown_id_cannot_come_later(subject: &Subject) {
    let message = new("under way", 60);
    subject.with_lobby().await;
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn order_is_the_order_of_acceptance(subject: &Subject) {
    let mut stamps = Vec::new();
    for lifetime in [60, 10, 3_600, 20] {
        stamps.push(subject.save(new("x", lifetime)).await);
    }
    // A clock that is set back changes nothing about the order.
    subject.clock.step(-(MINUTE as i64));
    stamps.push(subject.save(new("x", 60)).await);
    assert!(stamps.is_sorted_by_key(|stamp| stamp.seq) && stamps[0].seq / 1024 == stamps[0].accepted);
    let ids: Vec<_> = subject.live().await.iter().rev().map(|record| record.id).collect();
    assert_eq!(ids, stamps.iter().map(|stamp| stamp.id).collect::<Vec<_>>());
}

pub async fn pages_meet_without_gap_or_overlap(subject: &Subject) {
    let mut saved = Vec::new();
    for n in 0..25 {
        saved.push(subject.save(new(&n.to_string(), 60)).await.id);
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = subject.store.page(room(), before, 10).await.unwrap();
        assert_eq!(page.more, found.len() + page.records.len() < 25);
        before = page.records.last().map(|record| record.seq);
        found.extend(page.records.iter().map(|record| record.id));
        if !page.more {
            break;
        }
    }
    saved.reverse();
    assert_eq!(found, saved);
    let other = "other".parse::<RoomName>().unwrap();
    subject.store.put_room(PutRoom::ensure(other.clone())).await.unwrap();
    subject.store.save(NewRecord { room: other.id(), ..new("elsewhere", 60) }).await.unwrap();
    assert_eq!(subject.live().await.len(), 25);
}

pub async fn a_deleted_message_is_gone(subject: &Subject) {
    let message = new("oops", 60);
    subject.save(message.clone()).await;
    subject.store.delete(message.id).await.unwrap();
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert!(subject.live().await.is_empty());
}

pub async fn a_claim_has_one_winner(subject: &Subject) {
    let message = NewRecord { once: Some(b"secret".to_vec()), ..new("", 60) };
    subject.save(message.clone()).await;
    assert!(subject.live().await[0].once && subject.live().await[0].payload.is_empty());
    let claims = (0..8).map(|n| subject.store.claim(message.id, [n; 16]));
    let answers = futures_util::future::join_all(claims).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won, [Ok(b"secret".to_vec())]);
    assert!(lost.into_iter().all(|answer| code(answer) == Code::Taken));
    assert!(subject.live().await.is_empty());
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn a_claim_may_be_repeated_by_its_winner(subject: &Subject) {
    let long = (0..LARGEST_PAYLOAD).map(|n| (n * 7) as u8).collect::<Vec<_>>();
    let message = NewRecord { once: Some(long.clone()), ..new("", 60) };
    subject.save(message.clone()).await;
    let claim = |nonce: u8| subject.store.claim(message.id, [nonce; 16]);
    assert!(claim(1).await.unwrap() == long);
    subject.clock.advance(30 * SECOND - 1);
    assert!(claim(1).await.unwrap() == long, "the same nonce again within 30 s");
    assert_eq!(code(claim(2).await), Code::Taken);
    subject.clock.advance(1);
    assert_eq!(code(claim(1).await), Code::Taken, "not later");
    subject.clock.advance(11 * MINUTE);
    eventually("the claim is forgotten", async || code(claim(1).await) == Code::NotFound).await;
}

pub async fn only_once_messages_are_claimed(subject: &Subject) {
    let message = new("for all", 60);
    subject.save(message.clone()).await;
    assert_eq!(code(subject.store.claim(message.id, [1; 16]).await), Code::Invalid);
    assert_eq!(code(subject.store.claim(MessageId::random(), [1; 16]).await), Code::NotFound);
    let expired = NewRecord { once: Some(b"secret".to_vec()), ..new("", 1) };
    subject.save(expired.clone()).await;
    subject.clock.advance(SECOND);
    assert_eq!(code(subject.store.claim(expired.id, [1; 16]).await), Code::NotFound);
    assert_eq!(subject.live().await.len(), 1);
}

pub async fn limits_hold(subject: &Subject) {
    subject.with_lobby().await;
    let large = vec![0; LARGEST_PAYLOAD + 1];
    assert_eq!(code(subject.store.save(NewRecord { payload: large.clone(), ..new("", 60) }).await), Code::TooLarge);
    assert_eq!(code(subject.store.save(NewRecord { once: Some(large), ..new("", 60) }).await), Code::TooLarge);
    let message = new("x", 60);
    let seen = subject.store.save(message.clone()).await.unwrap().deadline;
    let longer = vec![0; LARGEST_PAYLOAD + 1];
    let set = subject.store.set_lifetime(message.id, seen, Lifetime::DEFAULT, Some(longer)).await;
    assert_eq!(code(set), Code::TooLarge);
    for _ in 0..LARGEST_PAGE + 10 {
        subject.store.save(new("x", 60)).await.unwrap();
    }
    let page = subject.store.page(room(), None, usize::MAX).await.unwrap();
    assert_eq!((page.records.len(), page.more), (LARGEST_PAGE, true));
    assert_eq!(subject.store.page(room(), None, 0).await.unwrap().records.len(), 1);
    assert!(subject.store.page(room(), Some(0), 10).await.unwrap().records.is_empty());
}

pub async fn saves_in_parallel_all_count(subject: &Subject) {
    subject.with_lobby().await;
    let message = new("the same", 60);
    let saves = (0..64).map(|n| {
        let new = if n % 2 == 0 { message.clone() } else { new("another", 60) };
        subject.store.save(new)
    });
    let stamps = futures_util::future::join_all(saves).await;
    assert!(stamps.iter().all(Result::is_ok));
    let same: std::collections::BTreeSet<_> =
        stamps.iter().step_by(2).map(|stamp| stamp.as_ref().unwrap().seq).collect();
    assert_eq!((same.len(), subject.live().await.len()), (1, 33));
}
