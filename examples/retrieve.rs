// SPDX-License-Identifier: Apache-2.0
// ETA retrieval through the C interface from Rust, by declarations of one's own:
//   rustc -L FOLDER retrieve.rs && LD_LIBRARY_PATH=FOLDER ./retrieve
use std::ffi::{c_void, CStr, CString};
use std::os::raw::c_char;
use std::ptr::null_mut;

#[link(name = "eta_c")]
extern "C" {
    fn eta_last_error() -> *const c_char;
    fn eta_hyperplanes_make(
        kind: *const c_char, dim: usize, bits: usize, seed: u64, out: *mut *mut c_void,
    ) -> i32;
    fn eta_encode(
        planes: *const c_void, values: *const f32, values_size: usize, rows: usize,
        codes: *mut u8, codes_bytes: usize,
    ) -> i32;
    fn eta_code_table_make(
        codes: *const u8, codes_bytes: usize, items: usize, bits: usize, out: *mut *mut c_void,
    ) -> i32;
    fn eta_history_prepare(
        table: *const c_void, items: *const i32, count: usize, out: *mut *mut c_void,
    ) -> i32;
    fn eta_history_append(history: *mut c_void, item: i32) -> i32;
    fn eta_retrieve(
        history: *const c_void, candidates: *const i32, num_candidates: usize, k: usize,
        positions: *mut i32, positions_size: usize, counts: *mut i32, counts_size: usize,
    ) -> i32;
    fn eta_history_close(history: *mut c_void) -> i32;
    fn eta_code_table_close(table: *mut c_void) -> i32;
    fn eta_hyperplanes_close(planes: *mut c_void) -> i32;
}

const ITEMS: usize = 1000;
const DIM: usize = 16;
const BITS: usize = 64;
const TOP: usize = 4;

fn check(status: i32) {
    if status != 0 {
        let message = unsafe { CStr::from_ptr(eta_last_error()) };
        panic!("error {}: {}", status, message.to_string_lossy());
    }
}

fn main() {
    let items: Vec<f32> =
        (0..ITEMS * DIM).map(|i| (i * i % 4093) as f32 / 2048.0 - 1.0).collect();
    let history: Vec<i32> = (0..300).map(|i| i * 7 % ITEMS as i32).collect();
    let candidates = [5, 14, 700];
    let mut codes = vec![0u8; ITEMS * BITS / 8];
    let mut positions = vec![0i32; candidates.len() * TOP];
    let mut counts = vec![0i32; candidates.len()];
    let (mut planes, mut table, mut user) = (null_mut(), null_mut(), null_mut());
    let kind = CString::new("orthogonal").unwrap();
    unsafe {
        check(eta_hyperplanes_make(kind.as_ptr(), DIM, BITS, 1, &mut planes));
        check(eta_encode(planes, items.as_ptr(), items.len(), ITEMS, codes.as_mut_ptr(), codes.len()));
        check(eta_code_table_make(codes.as_ptr(), codes.len(), ITEMS, BITS, &mut table));
        check(eta_history_prepare(table, history.as_ptr(), history.len(), &mut user));
        for turn in 0..2 {
            check(eta_retrieve(
                user, candidates.as_ptr(), candidates.len(), TOP, positions.as_mut_ptr(),
                positions.len(), counts.as_mut_ptr(), counts.len(),
            ));
            for (c, item) in candidates.iter().enumerate() {
                print!("candidate {}:", item);
                for i in 0..counts[c] as usize {
                    print!(" {}", positions[c * TOP + i]);
                }
                println!();
            }
            if turn == 0 {
                check(eta_history_append(user, candidates[0]));
            }
        }
        check(eta_history_close(user));
        check(eta_code_table_close(table));
        check(eta_hyperplanes_close(planes));
    }
}
