"""From executed chapters to the two static sites."""
