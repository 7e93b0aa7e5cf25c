//! The functions that the compiler expects of every C library. The crate is `no_builtins`, so that their loops are not
//! compiled into calls of themselves.

#[no_mangle]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    for position in 0..count {
        *to.add(position) = *from.add(position);
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize) <= from as usize {
        return memcpy(to, from, count);
    }
    for position in (0..count).rev() {
        *to.add(position) = *from.add(position);
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    for position in 0..count {
        *to.add(position) = byte as u8;
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    for position in 0..count {
        let difference = i32::from(*left.add(position)) - i32::from(*right.add(position));
        if difference != 0 {
            return difference;
        }
    }
    0
}

#[no_mangle]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    memcmp(left, right, count)
}

#[no_mangle]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    while *text.add(length) != 0 {
        length += 1;
    }
    length
}
