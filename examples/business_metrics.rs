//! What does the shop earn, and where? Metrics declared in one place, contexts as labels, and a day of orders in an instant.
//!
//! ```text
//! cargo run --example business_metrics
//! ```

use metrics_recall::{Clock, Error, Recall, mins, sampled, secs};

metrics_recall::catalogue! {
    /// What the shop counts.
    Shop {
        /// Orders that were paid.
        counter orders_total: Count,
        /// What an order was worth.
        histogram order_value: "eur",
        /// Baskets that are neither paid nor given up.
        gauge open_baskets: Count,
        /// Pages that were looked at, most of which nobody buys on.
        counter page_views_total: Count,
    }
}

fn main() -> Result<(), Error> {
    // A program says `Recall::builder().install()?`; here a manual clock makes two hours pass at once.
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build()?;
    recorder.scope(|| {
        Shop::register();
        println!("{}", Shop::catalogue());
        let regions = ["eu", "us"].map(|region| Shop::new().with("region", region));
        for second in 0..7_200_u32 {
            for (shop, often) in regions.iter().zip([3, 5]) {
                trade(shop, second, often);
            }
            hands.advance(secs(1));
            recall.tick();
        }
    });

    println!("The last hour:");
    println!("region  orders  revenue eur  median eur  most baskets");
    let window = mins(60);
    for (labels, stats) in recall
        .histograms("order_value")
        .by("region")
        .over(window)
        .stats()
    {
        let region = labels.get("region").unwrap_or("?");
        let baskets = recall
            .gauges("open_baskets")
            .label("region", region)
            .over(window)
            .max();
        let (count, sum, median) = (stats.count, stats.sum, stats.median);
        let most = baskets.unwrap_or(0.0);
        println!("{region:6} {count:>7} {sum:>12.2} {median:>11.2} {most:>13}");
    }
    println!("\norders  {}", recall.counters("orders_total").meter());
    println!("views   {}", recall.counters("page_views_total").meter());
    let taken = recall.counters("recall_sampled_total").total().unwrap_or(0);
    println!(
        "        of {} views, {taken} were recorded, each for 64",
        7_200 * 2 * 50
    );
    Ok(())
}

/// One second of one region.
fn trade(shop: &Shop, second: u32, often: u32) {
    shop.open_baskets().set(f64::from(second * often % 97));
    for _ in 0..50 {
        sampled!(1 in 64, shop.page_views_total()).increment(1);
    }
    if second.is_multiple_of(often) {
        shop.orders_total().increment(1);
        shop.order_value()
            .record(f64::from(second * 7_919 % 10_000) / 100.0);
    }
}
