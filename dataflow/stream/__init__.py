"""What travels through the flow: items, batches, the watermark, and the key groups that items go to."""
