//! The browser face: HTTP and an event stream over `temp_messenger_core::api::Api`, serving the same ui as the window.
//!
//! Nothing is here yet. It will hold the routes of the tutorial's contract (`GET` and `POST /messages`), one route per
//! operation (`POST /api/OPERATION`), the event stream, the guard (token, `Host` and `Origin`) and the embedded page.
