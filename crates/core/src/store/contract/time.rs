//! Time: what ends, when exactly, and what steps of the clock do.
use super::*;

pub async fn an_ended_id_is_remembered_for_ten_minutes(subject: &Subject) {
    let message = new("once more", 1);
    subject.save(message.clone()).await;
    subject.clock.advance(SECOND + 10 * MINUTE - 1);
    assert_eq!(code(subject.store.save(message.clone()).await), Code::Ended);
    // A store may remember for a minute longer than it must.
    subject.clock.advance(1 + MINUTE);
    eventually("the id is forgotten", async || subject.store.save(message.clone()).await.is_ok()).await;
}

pub async fn a_late_save_is_ended(subject: &Subject) {
    let now = subject.save(new("in time", 60)).await.now;
    let message = NewRecord { not_after: Some(now + SECOND), ..new("late", 60) };
    subject.clock.advance(SECOND + 1);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
    let now = now + SECOND + 1;
    subject.store.save(NewRecord { not_after: Some(now), ..new("at the last moment", 60) }).await.unwrap();
}

pub async fn pages_refill_past_what_has_ended(subject: &Subject) {
    for n in 0..40 {
        subject.save(new("x", if n % 2 == 0 { 1 } else { 60 })).await;
    }
    let oldest = subject.live().await.pop().unwrap();
    subject.clock.advance(SECOND);
    let page = subject.store.page(room(), None, 15).await.unwrap();
    assert_eq!((page.records.len(), page.more), (15, true));
    assert!(page.records.iter().all(|record| record.deadline > page.now));
    let rest = subject.store.page(room(), Some(page.records[14].seq), 15).await.unwrap();
    assert_eq!((rest.records.len(), rest.more), (5, false));
    // The message that a page is asked before may itself have ended.
    assert!(subject.store.page(room(), Some(oldest.seq), 15).await.unwrap().records.is_empty());
}

pub async fn expiry_is_exact(subject: &Subject) {
    let message = new("soon gone", 5);
    let stamp = subject.save(message.clone()).await;
    subject.clock.advance(5 * SECOND - 20);
    assert!(subject.store.get(message.id).await.is_ok(), "readable 20 ms before");
    subject.clock.advance(19);
    assert_eq!(subject.live().await.len(), 1);
    subject.clock.advance(1);
    assert_eq!(subject.store.health(false).await.unwrap().now, stamp.deadline);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound, "gone at the millisecond");
    assert!(subject.live().await.is_empty());
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert_eq!(
        code(subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await),
        Code::NotFound
    );
}

pub async fn a_lifetime_may_be_shortened_and_extended(subject: &Subject) {
    let message = new("x", 60);
    let first = subject.save(message.clone()).await;
    let life = |seconds| Lifetime::from_millis(seconds * SECOND).unwrap();
    let set = |seen, seconds, payload| subject.store.set_lifetime(message.id, seen, life(seconds), payload);
    let longer = set(first.deadline, 3_600, Some(b"sealed again".to_vec())).await.unwrap();
    assert_eq!((longer.seq, longer.accepted, longer.deadline), (first.seq, first.accepted, first.now + 3_600 * SECOND));
    assert_eq!(code(set(first.deadline, 60, None).await), Code::Taken, "only from the deadline that was seen");
    subject.clock.advance(MINUTE);
    assert_eq!(subject.store.get(message.id).await.unwrap().payload, b"sealed again");
    let shorter = set(longer.deadline, 2, None).await.unwrap();
    subject.clock.advance(2 * SECOND);
    assert_eq!(shorter.deadline, first.now + 62 * SECOND);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    // A repeated save of a message that was shortened and has ended does not bring it back.
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn a_lifetime_has_bounds(subject: &Subject) {
    let name = RoomName::lobby();
    let hour = Some(Lifetime::DEFAULT);
    subject.store.put_room(PutRoom { name, lifetime: hour, longest: hour }).await.unwrap();
    assert_eq!(code(subject.store.save(new("x", 3_601)).await), Code::OutOfRange);
    let message = new("x", 3_600);
    let stamp = subject.store.save(message.clone()).await.unwrap();
    subject.clock.advance(SECOND);
    let extended = subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await;
    assert_eq!(code(extended), Code::OutOfRange, "never past its acceptance and the room's longest");
    assert_eq!(subject.live().await[0].deadline, stamp.deadline);
}

pub async fn mixed_lifetimes_end_each_at_its_own_time(subject: &Subject) {
    for seconds in [7, 3, 9, 1, 5, 3] {
        subject.save(new(&seconds.to_string(), seconds)).await;
    }
    for passed in 1..=9 {
        subject.clock.advance(SECOND);
        let left: Vec<_> = subject.live().await.into_iter().rev().map(|record| record.payload).collect();
        let expected: Vec<_> = [7, 3, 9, 1, 5, 3].into_iter().filter(|seconds| *seconds > passed).collect();
        assert_eq!(left, expected.iter().map(|seconds: &u64| seconds.to_string().into_bytes()).collect::<Vec<_>>());
    }
}

pub async fn ten_thousand_due_at_once_all_go(subject: &Subject) {
    subject.with_lobby().await;
    let saves = (0..10_000).map(|_| subject.store.save(new("x", 10)));
    assert!(futures_util::future::join_all(saves).await.iter().all(Result::is_ok));
    let last = subject.save(new("stays", 3_600)).await;
    subject.clock.advance(10 * SECOND);
    let page = subject.store.page(room(), None, 50).await.unwrap();
    assert_eq!(page.records.iter().map(|record| record.id).collect::<Vec<_>>(), [last.id]);
    assert!(!page.more);
    eventually("all are swept", async || subject.unswept.0() == 1).await;
    assert_eq!(subject.live().await.len(), 1);
}

pub async fn nothing_is_left_behind(subject: &Subject) {
    subject.with_lobby().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let once = (n % 4 == 0).then(|| b"secret".to_vec());
        ids.push(subject.save(NewRecord { once, ..new("x", 1 + n) }).await.id);
    }
    subject.store.delete(ids[10]).await.unwrap();
    subject.store.claim(ids[4], [1; 16]).await.unwrap();
    subject.clock.advance(30 * SECOND);
    subject.clock.advance(11 * MINUTE);
    eventually("every id is forgotten", async || {
        let claims = ids.iter().map(|id| subject.store.claim(*id, [1; 16]));
        futures_util::future::join_all(claims).await.into_iter().all(|answer| code(answer) == Code::NotFound)
    })
    .await;
    eventually("every message is swept", async || subject.unswept.0() == 0).await;
}

pub async fn a_step_of_the_clock_hides_at_once_and_revives_what_had_not_ended(subject: &Subject) {
    let message = new("x", 600);
    subject.save(message.clone()).await;
    subject.clock.step(3_600_000);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound, "hidden at once");
    subject.clock.advance(30 * SECOND);
    assert!(subject.live().await.is_empty());
    assert_eq!(subject.unswept.0(), 1, "one wrong step destroys nothing");
    subject.clock.step(-3_600_000);
    eventually("what an undone step hid is shown again", async || subject.store.get(message.id).await.is_ok()).await;
    subject.clock.step(3_600_000);
    subject.store.health(false).await.unwrap();
    subject.clock.advance(MINUTE);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    // The step has stood: it is destroyed, and setting the clock back brings nothing back.
    eventually("it is destroyed", async || subject.unswept.0() == 0).await;
    subject.clock.step(-3_600_000);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
}

pub async fn a_step_is_told_as_a_reset(subject: &Subject) {
    subject.save(new("x", 600)).await;
    let mut changes = subject.changes().await;
    subject.clock.step(-10_000);
    assert!(matches!(next(&mut changes).await, Change::Reset));
}
