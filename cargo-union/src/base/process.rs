//! The door to other programs: started by name, with errors that say which and why.
