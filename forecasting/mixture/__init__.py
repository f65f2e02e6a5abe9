"""Our own forecaster: experts who are listened to as far as they were right, and whose bands are held to what came."""
