//! Pings by the crate healthchecks: a run that fails, with what it wrote.

fn main() {
    let url = std::env::var("CRONWAX_PING").expect("CRONWAX_PING");
    let check = std::env::var("CRONWAX_CHECK").expect("CRONWAX_CHECK");
    let client = healthchecks::ping::get_client_with_url(&check, &url).expect("a client");
    let _ = client.start_timer();
    let _ = client.report_failure_with_logs("disk full");
}
