//! Locks that a panicked thread does not poison.
//!
//! The standard library's locks refuse to open after a thread panicked while it held them. Here that
//! would turn one dead thread into many: health reports the thread that died, the supervisor starts
//! its pipeline again, and all others must go on. So these locks open regardless. What they guard
//! must therefore be valid after each single statement that changes it.

use std::sync::{self, PoisonError, TryLockError};

pub use std::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// A [`std::sync::Mutex`] without poison.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around `value`, open.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits for the lock. It opens again when the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is open; never waits.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the value out of the lock.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`std::sync::RwLock`] without poison: many readers or one writer.
#[derive(Debug, Default)]
pub struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock around `value`, open.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock(sync::RwLock::new(value))
    }

    /// Waits until no thread writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Runs `action` on a thread that then panics.
    fn panic_after(action: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().spawn(action).unwrap();
        assert!(thread.join().is_err());
    }

    #[test]
    fn a_mutex_opens_after_a_thread_panicked_with_it() {
        let mutex = Arc::new(Mutex::new(1));
        let held = Arc::clone(&mutex);
        panic_after(move || {
            *held.lock() = 2;
            let _guard = held.lock();
            panic!("on purpose");
        });
        assert_eq!(*mutex.lock(), 2);
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none(), "it is held");
        drop(guard);
        assert_eq!(Arc::into_inner(mutex).unwrap().into_inner(), 2);
    }

    #[test]
    fn a_lock_for_readers_opens_after_a_writer_panicked() {
        let lock = Arc::new(RwLock::new(1));
        let held = Arc::clone(&lock);
        panic_after(move || {
            let mut value = held.write();
            *value = 2;
            panic!("on purpose");
        });
        assert_eq!(*lock.read(), 2);
        *lock.write() = 3;
        assert_eq!((*lock.read(), *lock.read()), (3, 3));
    }
}
