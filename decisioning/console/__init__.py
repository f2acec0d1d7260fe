"""What the admin pages of every app share: kinds of pages (`pages`) and checked form fields (`fields`)."""
