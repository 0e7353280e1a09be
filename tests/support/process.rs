//! A process that ends with its handle: asked by TERM first, so that it tidies up; killed when it does not listen.

use std::{
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

#[derive(Debug)]
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for its own end.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let tick = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while waited < patience {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(tick);
            waited += tick;
        }
        None
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        if self.wait(Duration::from_secs(10)).is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
