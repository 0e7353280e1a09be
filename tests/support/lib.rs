//! What the tests share: processes, folders, the window under its driver.
